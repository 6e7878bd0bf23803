/** A connection to a coordinator that is opened anew whenever it broke, until it is closed. */
import { setTimeout as sleep } from "node:timers/promises";
import { type CoordinatorAccess, NodeConnection } from "./node-connection.ts";

/** Before the first try, on average, and at most: twice as long each time, as a node does. */
const retryMs = { first: 250, max: 5000 };

export interface KeptOwner {
  line(text: string): void;
  /** There is a new connection. */
  opened(): void;
}

export class KeptConnection {
  readonly #access: CoordinatorAccess;
  readonly #owner: KeptOwner;
  #connection: NodeConnection | null = null;
  #closed: "yes" | "no" = "no";
  /** How often it broke. */
  broken = 0;

  constructor(access: CoordinatorAccess, owner: KeptOwner) {
    this.#access = access;
    this.#owner = owner;
  }

  /** Rejects when the first try fails. */
  async open(): Promise<void> {
    this.#connection = await NodeConnection.open(
      this.#access,
      (text) => this.#owner.line(text),
      () => this.#broke(),
    );
    this.#owner.opened();
  }

  post(path: string, body: object): void {
    this.#connection?.post(path, body);
  }

  close(): void {
    this.#closed = "yes";
    this.#connection?.close();
  }

  #broke(): void {
    if (this.#closed === "yes" || this.#connection === null) return;
    this.#connection = null;
    this.broken += 1;
    void this.#again();
  }

  async #again(): Promise<void> {
    for (let waitMs = retryMs.first; this.#closed === "no" && this.#connection === null; waitMs *= 2) {
      await sleep(Math.min(waitMs, retryMs.max) * 2 * Math.random());
      await this.open().catch(() => {});
    }
  }
}
