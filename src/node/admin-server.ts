/** Where the admin surface listens; a new address is bound before the old one is let go. */

import type { Address } from "../machine.ts";
import type { AppListener } from "../runtime/app-listener.ts";
import { addressText } from "./addresses.ts";

/** How long an answer that is on its way may take when the address moves or the node ends. */
const drainMs = 1000;

export interface PreparedMove {
  /** Serves here from now on, and no longer at the old address. */
  commit(): void;
  abandon(): void;
}

export class AdminServer {
  readonly #serve: (address: Address) => Promise<AppListener>;
  /** As configured, with port 0 where the system chooses. */
  #wanted: Address | null = null;
  #server: AppListener | null = null;

  /** `serve` rejects as `Sockets.listen` does. */
  constructor(serve: (address: Address) => Promise<AppListener>) {
    this.#serve = serve;
  }

  /** As configured. */
  get wanted(): Address | null {
    return this.#wanted;
  }

  /** As bound. */
  get address(): Address | null {
    return this.#server?.address ?? null;
  }

  async prepare(address: Address): Promise<PreparedMove> {
    if (this.#wanted !== null && addressText(this.#wanted) === addressText(address)) {
      return { commit() {}, abandon() {} };
    }
    const server = await this.#serve(address);
    return {
      commit: () => {
        const old = this.#server;
        this.#server = server;
        this.#wanted = address;
        old?.drain(drainMs);
      },
      abandon: () => {
        server.drain(0);
      },
    };
  }

  async close(): Promise<void> {
    await this.#server?.drain(drainMs);
  }
}
