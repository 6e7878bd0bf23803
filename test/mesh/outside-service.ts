/** A service that no mesh knows of by itself: HTTP, or HTTPS with a certificate, on an address of loopback. */
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Pair } from "../certificates.ts";

export interface OutsideWish {
  readonly host?: string;
  /** Any that is free without it. */
  readonly port?: number;
  readonly pair?: Pair;
}

export class OutsideService {
  /** Answered with its name, method and path. */
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[] = [];
  readonly #server: Server;

  private constructor(name: string, pair: Pair | undefined) {
    const answer: RequestListener = ({ method, url, headers }, response) => {
      this.requests.push({ path: url ?? "", headers });
      response.end(`${name} ${method} ${url}`);
    };
    this.#server =
      pair === undefined
        ? createServer(answer)
        : createTlsServer({ cert: pair.certificate, key: pair.key }, answer);
    // Longer than a proxy keeps an unused connection: otherwise a request may meet its end.
    this.#server.keepAliveTimeout = 120_000;
  }

  static async start(name: string, { host = "127.0.0.1", port = 0, pair }: OutsideWish = {}) {
    const service = new OutsideService(name, pair);
    await new Promise<void>((resolve, reject) => {
      service.#server.once("error", reject);
      service.#server.listen(port, host, resolve);
    });
    return service;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
