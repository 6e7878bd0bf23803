/** One request after another, answered from what is kept or by the service. */
import type { Call, Send, SendChange, Tools } from "../../plugin.ts";
import { refusalOf } from "../refusal.ts";
import { dropAnswer } from "../sending/outcome.ts";
import { Asked, changedAddresses } from "./asked.ts";
import type { Flight } from "./flights.ts";
import { asAsked, conditional, hasValidator, isSameTag } from "./given.ts";
import { type Arrived, Keeper, type KeeperRules, whenOver } from "./keeper.ts";
import { CacheMemory } from "./memory.ts";
import type { StoredAnswer } from "./stored.ts";

export interface CacheRules extends KeeperRules {
  readonly memory: number;
  readonly wait: number;
  readonly status: boolean;
}

/** RFC 9110, section 9.2.1: nothing is changed by them. */
const SAFE = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
const NOT_MODIFIED = 304;
/** From here on an answer is a refusal, and has changed nothing. */
const CLIENT_ERROR = 400;
const SERVER_ERROR = 500;
/** How long a failing service is left alone when a stale answer may be given instead. */
const AFTER_FAILURE_MS = 1000;
/** Where a stale answer may stand in, the service must answer before the caller is told that it did not. */
const TIME_SHARE = 0.9;
/** A request waits anew when the one that it waited for failed, or got an answer that is not for it. */
const WAITS_MAX = 100;
/** A smaller body that a caller takes slowly is no more than any connection's buffer. */
const COUNTED_BODY_BYTES = 64 * 1024;

/** A caller's request on its way to the service. */
interface Errand {
  readonly asked: Asked;
  readonly send: Send;
  /** What the service is asked about; null when nothing is kept that fits. */
  readonly stored: StoredAnswer | null;
  /** Null when nobody waits for it. */
  readonly flight: Flight | null;
  readonly key: string;
}

export class SharedCache {
  readonly #rules: CacheRules;
  readonly #tools: Tools;
  readonly #memory: CacheMemory;
  readonly #keeper: Keeper;

  constructor(rules: CacheRules, tools: Tools) {
    this.#rules = rules;
    this.#tools = tools;
    this.#memory = CacheMemory.of(tools, rules.memory);
    this.#keeper = new Keeper(rules, tools, this.#memory);
  }

  async answer(call: Call, send: Send): Promise<Response> {
    const { method } = call.request;
    if (method !== "GET" && method !== "HEAD") return this.#changed(call, await send());
    const asked = new Asked(call, this.#tools.scope);
    if (asked.passes) return this.#passed(asked, await send(), "bypass");
    const given = this.#fromMemory(asked, send, "hit");
    if (given !== null) return given;
    if (asked.onlyIfCached) return notCached();
    if (asked.keeps) return this.#ask(asked, send);
    const why = this.#missed(asked);
    return this.#passed(asked, await send(), why);
  }

  // ---- from the memory ----

  #find(asked: Asked): StoredAnswer | null {
    for (const stored of this.#memory.store.at(asked.url)) if (asked.fits(stored)) return stored;
    return null;
  }

  /** Null when the service must be asked first. */
  #fromMemory(asked: Asked, send: Send, how: "hit" | "collapsed"): Response | null {
    const stored = this.#find(asked);
    if (stored === null) return null;
    const nowMs = this.#tools.clock.now();
    const use = asked.useOf(stored, nowMs);
    if (use === "ask first") return null;
    if (use === "stale, and ask") this.#keeper.refresh(asked, stored, send);
    this.#count(asked.call, use === "fresh" ? how : "stale");
    return this.#give(asked, stored, how === "hit" ? "hit" : "fwd=uri-miss; collapsed");
  }

  #give(asked: Asked, stored: StoredAnswer, status: string): Response {
    const { store } = this.#memory;
    const ageMs = stored.ageMs(this.#tools.clock.now());
    store.touch(stored);
    const answer = stored.copy();
    answer.headers.append("age", String(Math.floor(ageMs / 1000)));
    this.#say(answer, `${status}; ttl=${Math.ceil((stored.freshness.lifetimeMs - ageMs) / 1000)}`);
    const given = asAsked(asked, answer);
    if (stored.bodyBytes > COUNTED_BODY_BYTES && given.body !== null)
      whenOver(asked.call.signal, store.give(stored));
    return given;
  }

  // ---- from the service ----

  /** One of those who ask for the same goes, the others wait for what comes of it. */
  async #ask(asked: Asked, send: Send): Promise<Response> {
    const { store, flights } = this.#memory;
    const { clock } = this.#tools;
    const untilMs = clock.now() + this.#rules.wait;
    let key = asked.shareKey(store.at(asked.url));
    for (let waits = 0; waits < WAITS_MAX && asked.shares && !this.#memory.isUnshared(key); waits++) {
      const flight = flights.begin(key);
      if (flight !== null) return this.#fetch({ asked, send, stored: this.#find(asked), flight, key });
      const milliseconds = untilMs - clock.now();
      const landing = await flights.wait(key, { clock, milliseconds, signal: asked.call.signal });
      const given = landing === "kept" ? this.#fromMemory(asked, send, "collapsed") : null;
      if (given !== null) return given;
      const before = key;
      key = asked.shareKey(store.at(asked.url));
      // What was kept tells now by which fields it was chosen: those who say the same there wait for one of them.
      if (landing !== "failed" && (landing !== "kept" || key === before)) break;
    }
    return this.#fetch({ asked, send, stored: this.#find(asked), flight: null, key });
  }

  async #fetch(errand: Errand): Promise<Response> {
    const { asked, stored, send, flight } = errand;
    const arriving = this.#keeper.begin(asked);
    try {
      const answer = await send(this.#change(errand));
      const arrived = arriving.arrived(answer);
      if (stored !== null && answer.status === NOT_MODIFIED && hasValidator(stored.headers))
        return this.#confirmed(errand, stored, arrived);
      if (stored === null || answer.status < SERVER_ERROR || !this.#mayStandIn(errand, stored))
        return this.#received(errand, arrived);
      dropAnswer({ response: answer, failure: null });
      arriving.end();
      return this.#standIn(errand, stored);
    } catch (error) {
      arriving.end();
      if (stored !== null && isFailureOfService(error, asked) && this.#mayStandIn(errand, stored))
        return this.#standIn(errand, stored);
      flight?.land("failed");
      throw error;
    }
  }

  /** The conditions are those of what is kept: the caller's own are judged here, against what comes of it. */
  #change(errand: Errand): SendChange {
    const { asked, stored, key } = errand;
    const { call } = asked;
    const conditions = asked.hasConditions && (stored !== null || !this.#memory.isUnshared(key));
    const change: SendChange = {};
    if (conditions || (stored !== null && hasValidator(stored.headers)))
      change.request = conditional(new Request(call.request), stored);
    if (stored !== null && this.#mayStandIn(errand, stored))
      change.timeoutMs = Math.max(1, Math.floor((call.deadline - this.#tools.clock.now()) * TIME_SHARE));
    return change;
  }

  #confirmed(errand: Errand, stored: StoredAnswer, arrived: Arrived): Promise<Response> | Response {
    const { asked, flight } = errand;
    const { answer } = arrived;
    dropAnswer({ response: answer, failure: null });
    arrived.filling.end();
    if (!isSameTag(answer.headers.get("etag"), stored.headers.get("etag"))) {
      // It speaks of an answer that nobody has.
      this.#memory.store.remove(stored);
      return this.#fetch({ ...errand, stored: null });
    }
    this.#keeper.confirm(stored, arrived);
    flight?.land("kept");
    this.#count(asked.call, "confirmed");
    const given = this.#give(asked, stored, "fwd=stale; fwd-status=304");
    if (this.#rules.setCookie === "pass")
      for (const cookie of answer.headers.getSetCookie()) given.headers.append("set-cookie", cookie);
    return given;
  }

  #mayStandIn({ asked }: Errand, stored: StoredAnswer): boolean {
    return asked.mayGetForError(stored, this.#tools.clock.now());
  }

  #standIn({ asked, flight }: Errand, stored: StoredAnswer): Response {
    stored.failedUntilMs = this.#tools.clock.now() + AFTER_FAILURE_MS;
    flight?.land("kept");
    this.#count(asked.call, "stale");
    return this.#give(asked, stored, "hit; detail=stale-if-error");
  }

  #received({ asked, stored, flight, key }: Errand, arrived: Arrived): Response {
    const { answer } = arrived;
    const why = this.#missed(asked, stored);
    const isKept = this.#keeper.receive(asked, arrived, (fate) => {
      if (fate === "shared") this.#memory.noteShared(key);
      if (fate === "for one") this.#memory.noteUnshared(key);
      flight?.land(LANDINGS[fate]);
    });
    if (!isKept && stored !== null && answer.status < SERVER_ERROR) this.#memory.store.remove(stored);
    this.#count(asked.call, "miss");
    this.#say(answer, `fwd=${why}${isKept ? "; stored" : ""}`);
    return asAsked(asked, answer);
  }

  /** Why nothing of the memory was given, in the words of RFC 9211, section 2.2. */
  #missed(asked: Asked, stored = this.#find(asked)): string {
    if (stored === null) return this.#memory.store.at(asked.url).length > 0 ? "vary-miss" : "uri-miss";
    return stored.ageMs(this.#tools.clock.now()) < stored.freshness.lifetimeMs ? "request" : "stale";
  }

  // ---- past the memory ----

  #passed({ call }: Asked, answer: Response, why: string): Response {
    this.#count(call, "passed");
    this.#say(answer, `fwd=${why}`);
    return answer;
  }

  /** What a request changed is asked for anew (RFC 9111, section 4.4). */
  #changed(call: Call, answer: Response): Response {
    const { method, url } = call.request;
    if (!SAFE.has(method) && answer.status < CLIENT_ERROR) {
      for (const address of changedAddresses(url, answer))
        for (let kept = this.#memory.store.invalidate(address); kept > 0; kept--)
          this.#tools.metrics.count("cache_invalidated", { route: call.route });
    }
    this.#count(call, "passed");
    this.#say(answer, "fwd=method");
    return answer;
  }

  /** RFC 9211: after what caches nearer to the service said. */
  #say({ headers }: Response, what: string): void {
    if (this.#rules.status) headers.append("cache-status", `clearway; ${what}`);
  }

  #count({ route }: Call, result: "hit" | "stale" | "collapsed" | "confirmed" | "miss" | "passed"): void {
    this.#tools.metrics.count("cache_answers", { route, result });
  }
}

const LANDINGS = {
  shared: "kept",
  "for one": "not kept",
  "of the moment": "not kept",
  "cut-off": "failed",
} as const;

/** A failure to get an answer, and not that the caller left. */
function isFailureOfService(error: unknown, { call }: Asked): boolean {
  const isFailure = error instanceof Error && "side" in error && error.side !== "downstream";
  return isFailure && !call.signal.aborted;
}

/** RFC 9111, section 5.2.1.7. */
function notCached(): Response {
  const sentence = "no answer is kept that fits, and the request wants no other";
  return refusalOf({ status: 504, reason: "not-cached", sentence });
}
