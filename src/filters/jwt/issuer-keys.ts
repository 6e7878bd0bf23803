/**
 * The keys of an issuer. They are downloaded when they are needed: a set is fresh for its lifetime, is still used for a
 * second lifetime while the next one is on its way, and for as long as it takes while the issuer cannot be reached.
 */
import type { Tools } from "../../plugin.ts";
import { downloadKeys } from "./key-download.ts";
import type { KeySet } from "./key-set.ts";

export interface IssuerKeys {
  /** The set of this moment; rejects with KeysUnavailable when there is none. */
  now(): KeySet | Promise<KeySet>;
  /** For a key that the set does not have. */
  newer(): KeySet | Promise<KeySet>;
}

/** No keys yet, and the issuer cannot be reached. */
export class KeysUnavailable extends Error {}

export interface DownloadRules {
  readonly url: string;
  readonly maxAgeMs: number;
  /** Between downloads that a missing key or a failure asks for. */
  readonly cooldownMs: number;
  readonly timeoutMs: number;
}

/** An issuer that says less is not believed: it would be asked for every request. */
const LIFETIME_MIN_MS = 60_000;
const FIRST_PAUSE_MS = 1000;

export class DownloadedIssuerKeys implements IssuerKeys {
  readonly #tools: Tools;
  readonly #rules: DownloadRules;
  #set: KeySet | null = null;
  #text = "";
  #lifetimeMs = 0;
  #freshUntilMs = 0;
  #askedMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #asking: Promise<void> | null = null;

  constructor(tools: Tools, rules: DownloadRules) {
    this.#tools = tools;
    this.#rules = rules;
  }

  now(): KeySet | Promise<KeySet> {
    const nowMs = this.#tools.clock.now();
    if (this.#set !== null && nowMs < this.#freshUntilMs) return this.#set;
    if (nowMs >= this.#askedMs + this.#pauseMs()) this.#ask();
    const old = this.#set !== null && nowMs < this.#freshUntilMs + this.#lifetimeMs;
    return old || this.#asking === null ? this.#known() : this.#asking.then(() => this.#known());
  }

  newer(): KeySet | Promise<KeySet> {
    const nowMs = this.#tools.clock.now();
    if (nowMs >= this.#askedMs + this.#rules.cooldownMs) this.#ask();
    return this.#asking === null ? this.#known() : this.#asking.then(() => this.#known());
  }

  #known(): KeySet | Promise<KeySet> {
    return this.#set ?? Promise.reject(new KeysUnavailable("the issuer's keys are not there"));
  }

  /** Doubles from one second to the cooldown while the issuer is away. */
  #pauseMs(): number {
    if (this.#failures === 0) return 0;
    return Math.min(this.#rules.cooldownMs, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures - 1, 20));
  }

  #ask(): void {
    this.#asking ??= this.#download().finally(() => {
      this.#asking = null;
    });
  }

  /** Never rejects. */
  async #download(): Promise<void> {
    const { log, metrics, clock } = this.#tools;
    const { url, maxAgeMs } = this.#rules;
    this.#askedMs = clock.now();
    try {
      const downloaded = await downloadKeys(this.#tools, this.#rules);
      // Here and not at the top: jose is loaded where a config names this filter.
      const { keySetOf } = await import("./key-set.ts");
      if (downloaded.text !== this.#text) this.#set = keySetOf(downloaded.keys);
      this.#text = downloaded.text;
      const wanted = Math.max(downloaded.maxAgeMs ?? maxAgeMs, LIFETIME_MIN_MS);
      this.#lifetimeMs = Math.min(wanted, maxAgeMs);
      this.#freshUntilMs = clock.now() + this.#lifetimeMs;
      if (this.#failures > 0) log.info("the issuer's keys can be downloaded again", { url });
      this.#failures = 0;
      metrics.count("jwks_downloads", { result: "ok" });
    } catch (error) {
      metrics.count("jwks_downloads", { result: "failed" });
      this.#failures += 1;
      if (this.#failures > 1) return;
      const so = this.#set === null ? "no token can be verified" : "the last ones stay in use";
      const reason = error instanceof Error ? error.message : String(error);
      log.warn(`cannot download the issuer's keys: ${reason}; ${so}`, { url });
    }
  }
}
