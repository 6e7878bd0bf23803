/**
 * Upstream. Sends a request again, to another endpoint, when a try came to nothing that the caller wants. Nothing of an
 * answer reaches the caller before it is the one that is passed on; the last one is, whatever it is.
 *
 * What a service may have begun to do is sent again only where doing it twice is doing it once (RFC 9110, section
 * 9.2.2), and only with a body that was held. So an outage cannot multiply its own load, all retries of a route
 * together stay within a budget, and waits are drawn from a range that doubles.
 */
import { type Call, type Clock, defineFilter, duration, percent, size, type Tools, z } from "../plugin.ts";
import { dropAnswer, failedOutcome, type Outcome, passedOn } from "./sending/outcome.ts";
import { pause } from "./sending/pause.ts";
import { routeBudget, type TryBudget } from "./sending/try-budget.ts";

const CAUSES = ["connect-failure", "refused", "reset", "timeout", "5xx"] as const;
type Cause = (typeof CAUSES)[number] | number;

const CAUSE_WANTED = `wanted ${CAUSES.join(", ")} or a status from 300 to 599`;
/** Of the backoff, unless `backoffMax` says otherwise. */
const BACKOFF_GROWTH = 10;
/** RFC 9110, section 9.2.2. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);
const UNAVAILABLE = 503;

const cause = z.union([
  z.enum(CAUSES, CAUSE_WANTED),
  z.int(CAUSE_WANTED).min(300, CAUSE_WANTED).max(599, CAUSE_WANTED),
]);

const options = z.strictObject({
  attempts: z.int().min(1).max(10).default(2).describe("tries in all, the first one included"),
  when: z
    .array(cause)
    .min(1)
    .default(["connect-failure", "refused", "reset", 503])
    .describe(
      "what is tried again: connect-failure, refused (the service did not begin), reset (closed before its answer), " +
        "timeout (of a try), 5xx (failures too), or statuses",
    ),
  budget: percent().default(0.2).describe("retries of the route, as a share of its requests"),
  perSecond: z.int().min(1).max(10_000).default(10).describe("retries a second beside the budget"),
  backoff: duration({ maxMs: 60_000 })
    .default(25)
    .describe("longest wait before the second try; it doubles with each further one"),
  backoffMax: duration({ maxMs: 60_000 })
    .optional()
    .describe("where the wait stops doubling; without it, at ten times the backoff"),
  perTry: duration()
    .optional()
    .describe("how long one try may take until the head of its answer; as long as the route without it"),
  bodyBytes: size({ maxBytes: 16 * 1024 * 1024 })
    .default(64 * 1024)
    .describe("largest body that is held to be sent again"),
});

type Options = z.output<typeof options>;

export default defineFilter({
  name: "retry",
  summary: "Sends a request again, to another endpoint, when a try failed",
  repeats: true,
  options,
  upstream: (given, tools) => {
    let budget: TryBudget | null = null;
    const unwanted = new Set(given.when);
    return async (call, send) => {
      budget ??= routeBudget(tools, call.route, { share: given.budget, perSecond: given.perSecond });
      budget.addRequest();
      const held = call.request.body === null || (await call.replayable(given.bodyBytes));
      // A body on its way takes the time that it takes.
      const change = held && given.perTry !== undefined ? { timeoutMs: given.perTry } : undefined;
      // Most answers are good: it is not made for those.
      let retries: Retries | null = null;
      for (let attempt = 1; ; attempt++) {
        let outcome: Outcome;
        try {
          const response = await send(change);
          if (response.status < 500 && !unwanted.has(response.status)) return response;
          outcome = { response, failure: null };
        } catch (error) {
          outcome = failedOutcome(error);
        }
        retries ??= new Retries(given, tools, { call, budget, held });
        const waitMs = retries.waitAfter(outcome, attempt);
        if (waitMs === null) return passedOn(outcome);
        dropAnswer(outcome);
        await pause(tools.clock, waitMs, call.signal);
        if (call.signal.aborted) return passedOn(outcome);
      }
    };
  },
});

interface Trying {
  readonly call: Call;
  readonly budget: TryBudget;
  /** Whether the request can be sent again whatever was sent of it. */
  readonly held: boolean;
}

/** Decides after each try of one request. */
class Retries {
  readonly #options: Options;
  readonly #tools: Tools;
  readonly #trying: Trying;

  constructor(given: Options, tools: Tools, trying: Trying) {
    this.#options = given;
    this.#tools = tools;
    this.#trying = trying;
  }

  /** Milliseconds until the next try; null when there is none. */
  waitAfter(outcome: Outcome, attempt: number): number | null {
    const found = causesOf(outcome).find((each) => this.#options.when.includes(each));
    if (found === undefined) return null;
    if (attempt >= this.#options.attempts) return this.#withheld("attempts");
    if (!this.#mayRepeat(outcome)) return this.#withheld("unsafe");
    const waitMs = this.#backoffMs(attempt) + retryAfterMs(outcome, this.#tools.clock);
    const { call, budget } = this.#trying;
    if (this.#tools.clock.now() + waitMs >= call.deadline) return this.#withheld("deadline");
    if (!budget.take()) return this.#withheld("budget");
    this.#tools.metrics.count("retries", { route: call.route, cause: String(found) });
    return waitMs;
  }

  #withheld(why: "attempts" | "unsafe" | "deadline" | "budget"): null {
    this.#tools.metrics.count("retries_withheld", { route: this.#trying.call.route, why });
    return null;
  }

  #mayRepeat(outcome: Outcome): boolean {
    // Nothing of it was sent, not even a body that is still on its way.
    if (outcome.failure?.retryable) return true;
    if (!this.#trying.held) return false;
    const { method, headers } = this.#trying.call.request;
    return isRefused(outcome) || IDEMPOTENT.has(method) || headers.has("idempotency-key");
  }

  /** Full jitter: callers that failed together come back one by one. */
  #backoffMs(attempt: number): number {
    const { backoff, backoffMax = BACKOFF_GROWTH * backoff } = this.#options;
    return this.#tools.random.fraction() * Math.min(backoffMax, backoff * 2 ** (attempt - 1));
  }
}

/** What an outcome is called in `when`. A failure is also the status that the caller would be told. */
const FAILURES: Readonly<Record<string, readonly Cause[]>> = {
  "no-healthy-endpoint": ["connect-failure", UNAVAILABLE, "5xx"],
  "service-overloaded": ["refused", UNAVAILABLE, "5xx"],
  "upstream-reset": ["reset", 502, "5xx"],
  "upstream-malformed": [502, "5xx"],
  "upstream-timeout": ["timeout", 504, "5xx"],
};

function causesOf(outcome: Outcome): readonly Cause[] {
  const { response, failure } = outcome;
  if (failure !== null) return FAILURES[failure.kind] ?? [];
  const { status } = response;
  if (status < 500) return [status];
  return isRefused(outcome) ? ["refused", status, "5xx"] : [status, "5xx"];
}

/** A node's own 503: it did not pass the request on. */
function isRefused({ response }: Outcome): boolean {
  return response?.status === UNAVAILABLE && response.headers.has("x-clearway-reason");
}

/** RFC 9110, section 10.2.3: seconds, or a date; 0 where nothing is asked for. */
function retryAfterMs({ response }: Outcome, clock: Clock): number {
  const text = response?.headers.get("retry-after") ?? null;
  if (text === null) return 0;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const epochMs = Date.parse(text);
  return Number.isNaN(epochMs) ? 0 : Math.max(0, epochMs - clock.epochMs());
}
