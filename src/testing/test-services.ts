/** The services of a test: real listeners on the network in memory, behind them what the test says. */
import type { Address, Clock } from "../machine.ts";
import { serveApp } from "../runtime/app-listener.ts";
import type { MessageLimits } from "../snapshot.ts";
import type { Log } from "../types.ts";
import type { MemoryNetwork } from "./memory-network.ts";
import type { ReceivedRequest, ServiceCall, ServiceReply, TestEndpoint, TestService } from "./nouns.ts";

/** What one test remembers of its services; more would be a leak. */
const RECEIVED_MAX = 100_000;

export interface ServicesParts {
  readonly network: MemoryNetwork;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: MessageLimits;
}

interface EndpointPlace {
  readonly service: string;
  readonly endpoint: number;
}

export class TestServices {
  readonly received: ReceivedRequest[] = [];
  readonly #parts: ServicesParts;
  readonly #addresses = new Map<string, readonly Address[]>();
  readonly #counts = new Map<string, number>();
  #failure: { readonly error: unknown } | null = null;

  constructor(parts: ServicesParts, services: ReadonlyMap<string, TestService>) {
    this.#parts = parts;
    for (const [name, service] of services) {
      const endpoints = endpointsOf(service);
      const third = this.#addresses.size;
      const addresses = endpoints.map((_, index) => ({ host: `10.0.${third}.${index + 1}`, port: 80 }));
      this.#addresses.set(name, addresses);
      for (const [endpoint, address] of addresses.entries()) {
        void this.#serve(endpoints[endpoint]!, address, { service: name, endpoint });
      }
    }
  }

  /** By name, as a config has them. */
  get addresses(): ReadonlyMap<string, readonly Address[]> {
    return this.#addresses;
  }

  /** Throws what the function of a service threw since the last call. */
  rethrow(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure.error;
  }

  async #serve(endpoint: TestEndpoint, address: Address, place: EndpointPlace): Promise<void> {
    const { network, clock, log, limits } = this.#parts;
    if (endpoint === "refused") return;
    if (endpoint === "silent") {
      network.silence(address);
      return;
    }
    await serveApp(
      { sockets: network, clock, log },
      { name: place.service, address, limits },
      async (request, env) => {
        const call = await this.#record(request, place);
        const reply = await this.#reply(endpoint, request, call);
        if (reply !== "reset") return reply;
        env.abort();
        return new Promise<Response>(() => {});
      },
    );
  }

  async #record(request: Request, place: EndpointPlace): Promise<ServiceCall> {
    const { clock } = this.#parts;
    const { pathname, search } = new URL(request.url);
    const atMs = clock.now();
    const count = (this.#counts.get(place.service) ?? 0) + 1;
    this.#counts.set(place.service, count);
    const body = await request.clone().text();
    const { method, headers } = request;
    if (this.received.length < RECEIVED_MAX) {
      this.received.push({ ...place, method, target: pathname + search, headers, body, atMs });
    }
    const wait = (durationMs: number) =>
      new Promise<void>((resolve) => void clock.after(durationMs, resolve));
    return { endpoint: place.endpoint, count, wait };
  }

  async #reply(
    endpoint: Exclude<TestEndpoint, string>,
    request: Request,
    call: ServiceCall,
  ): Promise<ServiceReply> {
    try {
      return await (typeof endpoint === "function" ? endpoint(request, call) : endpoint.fetch(request));
    } catch (error) {
      this.#failure ??= { error };
      return new Response("the service of the test failed", { status: 500 });
    }
  }
}

function endpointsOf(service: TestService): readonly TestEndpoint[] {
  return Array.isArray(service) ? service : [service as TestEndpoint];
}
