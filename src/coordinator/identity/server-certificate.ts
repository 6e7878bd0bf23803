import type { Clock } from "../../machine.ts";
import type { Log } from "../../types.ts";
import type { Authority, ServerCertificate, ServerNames } from "./authority.ts";

/** Looked at the clock of the wall that often: a machine that slept, or whose clock was set, has no other time. */
const lookEveryMs = 60_000;

export interface KeeperParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly authority: Authority;
  readonly names: ServerNames;
}

/** Keeps the coordinator's own certificate new: it is made again when half of its life is over. */
export class ServerCertificateKeeper {
  readonly #parts: KeeperParts;
  #current: ServerCertificate;
  #making = false;
  #stop: () => void = () => {};

  private constructor(parts: KeeperParts, first: ServerCertificate) {
    this.#parts = parts;
    this.#current = first;
  }

  static async open(parts: KeeperParts): Promise<ServerCertificateKeeper> {
    return new ServerCertificateKeeper(parts, await parts.authority.issueServer(parts.names));
  }

  get current(): ServerCertificate {
    return this.#current;
  }

  /** `changed` is told of each one that follows. */
  start(changed: (next: ServerCertificate) => void): void {
    this.#stop = this.#parts.clock.every(lookEveryMs, () => void this.#look(changed));
  }

  close(): void {
    this.#stop();
  }

  async #look(changed: (next: ServerCertificate) => void): Promise<void> {
    const { clock, log, authority, names } = this.#parts;
    const { startsEpochMs, expiresEpochMs } = this.#current;
    const now = clock.epochMs();
    const due = now >= (startsEpochMs + expiresEpochMs) / 2 || now < startsEpochMs;
    if (this.#making || !due) return;
    this.#making = true;
    try {
      this.#current = await authority.issueServer(names);
      changed(this.#current);
    } catch (error) {
      log.error("the coordinator's own certificate was not renewed", {
        why: (error as Error).message,
        expires: new Date(expiresEpochMs).toISOString(),
      });
    } finally {
      this.#making = false;
    }
  }
}
