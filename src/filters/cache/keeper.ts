/** Answers of the service on their way into the memory: judged, read, confirmed, asked for anew in the background. */
import type { Send, Tools } from "../../plugin.ts";
import { dropAnswer } from "../sending/outcome.ts";
import type { Asked } from "./asked.ts";
import { readBody } from "./body.ts";
import { type Freshness, freshnessOf, type KeepingRules, type NotKept } from "./freshness.ts";
import { conditional, hasValidator, isSameTag } from "./given.ts";
import type { CacheMemory } from "./memory.ts";
import type { Filling } from "./store.ts";
import { StoredAnswer, type Timing } from "./stored.ts";
import { variedNames, variedValues } from "./vary.ts";

export interface KeeperRules extends KeepingRules {
  readonly bodyMax: number;
}

/** Answers that are asked for in the background are given up after this time, body included. */
const BACKGROUND_MS = 60_000;
/** How long a service that failed in the background is left alone. */
const AFTER_FAILURE_MS = 1000;
const NOT_MODIFIED = 304;
const SERVER_ERROR = 500;

/** An answer whose head is here. */
export interface Arrived {
  readonly answer: Response;
  readonly timing: Timing;
  readonly filling: Filling;
  readonly asker: "anybody" | "authorized";
}

/** One that is asked for. */
export interface Arriving {
  arrived(answer: Response): Arrived;
  /** There is none, or it is not to be kept. */
  end(): void;
}

/**
 * What becomes of an answer: `shared` with whoever asks for the same; `for one` caller, as the next ones will be; `of
 * the moment`: not kept, but the next may be; `cut-off` in the middle.
 */
export type Fate = "shared" | "for one" | "of the moment" | "cut-off";

type Why = NotKept | "too-large" | "no-room" | "changed" | "cut-off";

export class Keeper {
  readonly #rules: KeeperRules;
  readonly #tools: Tools;
  readonly #memory: CacheMemory;

  constructor(rules: KeeperRules, tools: Tools, memory: CacheMemory) {
    this.#rules = rules;
    this.#tools = tools;
    this.#memory = memory;
  }

  begin({ url, asker }: Asked): Arriving {
    const { clock } = this.#tools;
    const filling = this.#memory.store.fill(url);
    const sentMs = clock.now();
    return {
      end: () => filling.end(),
      arrived: (answer) => {
        const timing = { sentMs, receivedMs: clock.now(), receivedEpochMs: clock.epochMs() };
        return { answer, timing, filling, asker };
      },
    };
  }

  /** Whether it is to be kept: then a copy of it is read, while the answer goes to its caller. */
  receive(asked: Asked, arrived: Arrived, told: (fate: Fate) => void): boolean {
    const { answer, filling } = arrived;
    const freshness = this.#judge(asked, arrived);
    if (typeof freshness === "string") {
      filling.end();
      this.#countNotKept(asked, freshness);
      told(answer.status < SERVER_ERROR ? "for one" : "of the moment");
      return false;
    }
    // What its caller has not taken yet counts, also when all of it was read.
    const over = new Promise<void>((resolve) => whenOver(asked.call.signal, resolve));
    const kept = this.#keep(asked, { ...arrived, answer: answer.clone() }, freshness).then(told);
    Promise.all([over, kept]).then(() => filling.end());
    return true;
  }

  #judge(asked: Asked, { answer, timing, filling, asker }: Arrived): Freshness | Why {
    const { headers } = answer;
    const freshness = freshnessOf({ answer, asker, receivedEpochMs: timing.receivedEpochMs }, this.#rules);
    if (typeof freshness === "string") return freshness;
    if (Number(headers.get("content-length") ?? 0) > this.#rules.bodyMax) return "too-large";
    if (variedValues(variedNames(headers) ?? [], asked.headers) === null) return "vary";
    return filling.spoiled ? "changed" : freshness;
  }

  /** Reads it whole; never rejects. */
  async #keep(asked: Asked, arrived: Arrived, freshness: Freshness): Promise<Fate> {
    const { answer, filling, timing } = arrived;
    const body = await readBody(answer.body, { filling, bytesMax: this.#rules.bodyMax });
    if (typeof body === "string") {
      this.#countNotKept(asked, body);
      return body === "cut-off" ? body : body === "too-large" ? "for one" : "of the moment";
    }
    const { url, route, call, headers } = asked;
    const varied = variedNames(answer.headers) ?? [];
    const values = variedValues(varied, headers) ?? "";
    const askedFor = { url, route, service: call.service, varied, values };
    const stored = new StoredAnswer(askedFor, { answer, body }, { freshness, timing });
    if (filling.spoiled || !this.#memory.store.add(stored)) {
      this.#countNotKept(asked, filling.spoiled ? "changed" : "no-room");
      return "of the moment";
    }
    this.#tools.metrics.count("cache_kept", { route: call.route });
    const isUsable = asked.useOf(stored, this.#tools.clock.now()) !== "ask first";
    return isUsable ? "shared" : "for one";
  }

  /** The service said that it holds. */
  confirm(stored: StoredAnswer, { answer, timing, asker }: Arrived): void {
    const { store } = this.#memory;
    // A cookie in that answer is for whoever asked.
    const withheld = this.#rules.setCookie === "pass" ? ["set-cookie"] : [];
    store.recount(stored, () => stored.freshen(answer, timing, withheld));
    const isForTheSame = String(variedNames(stored.headers)) === String(stored.askedFor.varied);
    const freshness = freshnessOf(
      { answer: stored, asker, receivedEpochMs: timing.receivedEpochMs },
      this.#rules,
    );
    if (typeof freshness === "string" || !isForTheSame) store.remove(stored);
    else stored.settle(freshness);
  }

  // ---- in the background ----

  /** Asks the service about a stale answer that somebody was just given, unless somebody does already. */
  refresh(asked: Asked, stored: StoredAnswer, send: Send): void {
    if (stored.revalidating === "yes") return;
    const copy = new Request(asked.call.copy(), { method: "GET" });
    // These are wishes of the caller, who has its answer.
    for (const name of ["cache-control", "pragma"]) copy.headers.delete(name);
    const request = conditional(copy, stored);
    const begun = this.#memory.inBackground(async () => {
      const result = await this.#refreshed(asked, stored, (signal) =>
        send({ request, signal, detached: true }),
      );
      stored.revalidating = "no";
      this.#tools.metrics.count("cache_revalidations", { route: asked.call.route, result });
    });
    if (begun) stored.revalidating = "yes";
  }

  /** Never rejects. */
  async #refreshed(
    asked: Asked,
    stored: StoredAnswer,
    send: (signal: AbortSignal) => Promise<Response>,
  ): Promise<"confirmed" | "replaced" | "failed"> {
    const { clock } = this.#tools;
    const giveUp = new AbortController();
    const cancel = clock.after(BACKGROUND_MS, () => giveUp.abort());
    const arriving = this.begin(asked);
    try {
      const result = await this.#settled(asked, stored, arriving.arrived(await send(giveUp.signal)));
      if (result !== "failed") return result;
    } catch {
      // As when it says that it fails.
    } finally {
      arriving.end();
      cancel();
    }
    stored.failedUntilMs = clock.now() + AFTER_FAILURE_MS;
    return "failed";
  }

  async #settled(
    asked: Asked,
    stored: StoredAnswer,
    arrived: Arrived,
  ): Promise<"confirmed" | "replaced" | "failed"> {
    const { answer } = arrived;
    const { store } = this.#memory;
    const freshness = this.#judge(asked, arrived);
    if (answer.status !== NOT_MODIFIED && typeof freshness !== "string") {
      const fate = await this.#keep(asked, arrived, freshness);
      return fate === "cut-off" ? "failed" : "replaced";
    }
    dropAnswer({ response: answer, failure: null });
    if (answer.status >= SERVER_ERROR) return "failed";
    const isAboutIt = answer.status === NOT_MODIFIED && hasValidator(stored.headers);
    if (isAboutIt && isSameTag(answer.headers.get("etag"), stored.headers.get("etag"))) {
      this.confirm(stored, arrived);
      return "confirmed";
    }
    store.remove(stored);
    return "replaced";
  }

  #countNotKept({ call }: Asked, why: Why): void {
    this.#tools.metrics.count("cache_not_kept", { route: call.route, why });
  }
}

/** Once the caller's request is over, whether it got its answer or left. */
export function whenOver(signal: AbortSignal, run: () => void): void {
  if (signal.aborted) run();
  else signal.addEventListener("abort", run, { once: true });
}
