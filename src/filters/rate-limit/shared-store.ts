/**
 * Buckets that nodes share. Whoever asks gets an answer within the timeout, or none: then its node counts for itself.
 * While the store is away nobody waits for it at all; it is looked for again and again, and used when it is back.
 */
import type { LimitRules, Taken, Tools } from "../../plugin.ts";
import { takenOf } from "./bucket-script.ts";
import { type StoreAddress, shownAddress } from "./store-address.ts";
import type { StoreConnection } from "./store-connection.ts";

/** Questions without an answer, of one worker; further requests are counted by their node. */
const askedMax = 1_000;
/** Until a store that is away is looked for again, and how far the wait grows: twice as long each time. */
const retryMs = 100;
const retryMaxMs = 5_000;
/** To open a connection, TLS and password included. */
const openTimeoutMs = 2_000;

type State =
  | { readonly kind: "opening" }
  | { readonly kind: "open"; readonly connection: StoreConnection }
  | { readonly kind: "away" }
  | { readonly kind: "closed" };

export interface StoreRules {
  readonly address: StoreAddress;
  readonly timeoutMs: number;
}

export class SharedStore {
  readonly #tools: Tools;
  readonly #rules: StoreRules;
  #state: State = { kind: "opening" };
  #users = 0;
  #asked = 0;
  #waitMs = retryMs;
  /** Whether its absence was told. */
  #missed = false;

  constructor(tools: Tools, rules: StoreRules) {
    this.#tools = tools;
    this.#rules = rules;
  }

  /** For one filter of one generation: the connection lives as long as somebody uses it. */
  use(onClose: Tools["onClose"]): void {
    this.#users += 1;
    if (this.#users === 1) this.#open();
    onClose(() => {
      this.#users -= 1;
      if (this.#users === 0) this.#close();
    });
  }

  /** Null when the node must count for itself. Never rejects. */
  take(bucket: string, rules: LimitRules): Promise<Taken | null> | null {
    if (this.#state.kind !== "open") return this.#without("away");
    if (this.#asked >= askedMax) return this.#without("busy");
    return this.#ask(this.#state.connection, bucket, rules);
  }

  async #ask(connection: StoreConnection, bucket: string, rules: LimitRules): Promise<Taken | null> {
    const { clock } = this.#tools;
    const { timeoutMs } = this.#rules;
    const intervalUs = (rules.perMs * 1000) / rules.requests;
    const late = Promise.withResolvers<never>();
    const giveUp = () => late.reject(new Error(`no answer within ${timeoutMs} ms`));
    // An answer that came while this worker was busy is read before the worker gives up.
    let cancel = clock.after(timeoutMs, () => {
      cancel = clock.after(0, giveUp);
    });
    this.#asked += 1;
    try {
      const reply = connection.take(bucket, { intervalUs, capacityUs: intervalUs * rules.burst });
      const taken = takenOf(await Promise.race([reply, late.promise]));
      this.#count("answered");
      return taken;
    } catch (error) {
      this.#lose(connection, error);
      return this.#without("failed");
    } finally {
      this.#asked -= 1;
      cancel();
    }
  }

  #without(result: "away" | "busy" | "failed"): null {
    this.#count(result);
    return null;
  }

  #count(result: string): void {
    this.#tools.metrics.count("rate_limit_store", { result });
  }

  #open(): void {
    this.#state = { kind: "opening" };
    this.#connect().then(
      (connection) => this.#opened(connection),
      (error: unknown) => this.#miss(error),
    );
  }

  async #connect(): Promise<StoreConnection> {
    // Here and not at the top: the library is loaded where a config names a store.
    const { openStore } = await import("./store-connection.ts");
    const connection = openStore(this.#rules.address, (error) => this.#lose(connection, error));
    const late = Promise.withResolvers<never>();
    const giveUp = () => late.reject(new Error(`no answer within ${openTimeoutMs} ms`));
    const cancel = this.#tools.clock.after(openTimeoutMs, giveUp);
    try {
      await Promise.race([connection.ready, late.promise]);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      cancel();
    }
  }

  #opened(connection: StoreConnection): void {
    if (this.#state.kind === "closed") {
      connection.close();
      return;
    }
    this.#state = { kind: "open", connection };
    this.#waitMs = retryMs;
    if (this.#missed) this.#tools.log.info("the store of limits is back", { store: this.#shown });
    this.#missed = false;
  }

  /** A connection that failed once is not trusted with another request. */
  #lose(connection: StoreConnection, error: unknown): void {
    if (this.#state.kind !== "open" || this.#state.connection !== connection) return;
    connection.close();
    this.#miss(error);
  }

  #miss(error: unknown): void {
    if (this.#state.kind === "closed") return;
    this.#state = { kind: "away" };
    const reason = error instanceof Error ? error.message : String(error);
    if (!this.#missed)
      this.#tools.log.warn("the store of limits is away: each node counts for itself", {
        store: this.#shown,
        reason,
      });
    this.#missed = true;
    const waitMs = this.#waitMs * (0.5 + this.#tools.random.fraction() / 2);
    this.#waitMs = Math.min(retryMaxMs, this.#waitMs * 2);
    this.#tools.clock.after(waitMs, () => {
      if (this.#state.kind === "away") this.#open();
    });
  }

  #close(): void {
    if (this.#state.kind === "open") this.#state.connection.close();
    this.#state = { kind: "closed" };
  }

  get #shown(): string {
    return shownAddress(this.#rules.address);
  }
}
