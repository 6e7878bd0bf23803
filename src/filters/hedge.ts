/**
 * Upstream. Asks another endpoint too when the first takes long, and passes on whichever good answer comes first; the
 * others are given up. For safe methods without a body only: a service may get the request more than once.
 */
import { type Call, defineFilter, duration, percent, type Send, type Tools, z } from "../plugin.ts";
import { dropAnswer, type Outcome, outcomeOf, passedOn } from "./sending/outcome.ts";
import { RecentDelays } from "./sending/recent-delays.ts";
import { routeBudget, type TryBudget } from "./sending/try-budget.ts";

/** RFC 9110, section 9.2.1. */
const SAFE = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
/** Without `after`, a try is slow when of the last answers only a twentieth took longer. */
const SLOW_SHARE = 0.95;

const options = z.strictObject({
  after: duration({ maxMs: 60_000 })
    .optional()
    .describe("wait before each further try; without it, what 95% of the last answers took"),
  attempts: z.int().min(2).max(5).default(2).describe("tries in all, the first one included"),
  budget: percent().default(0.1).describe("further tries of the route, as a share of its requests"),
  perSecond: z.int().min(1).max(10_000).default(10).describe("further tries a second beside the budget"),
});

export default defineFilter({
  name: "hedge",
  summary: "Asks another endpoint too when the first takes long",
  repeats: true,
  options,
  upstream: ({ after, attempts, ...limits }, tools) => {
    const delays = new RecentDelays(SLOW_SHARE);
    let budget: TryBudget | null = null;
    return async (call, send) => {
      budget ??= routeBudget(tools, call.route, { share: limits.budget, perSecond: limits.perSecond });
      budget.addRequest();
      const { method, headers } = call.request;
      // Of two connections that are no HTTP any more none could be chosen.
      const isSafe = SAFE.has(method) && !headers.has("upgrade");
      if (!isSafe || !(await call.replayable(0))) return send();
      const race = new Race({ call, send, tools, budget, delays, attempts, after: after ?? null });
      return passedOn(await race.ended());
    };
  },
});

interface RaceParts {
  readonly call: Call;
  readonly send: Send;
  readonly tools: Tools;
  readonly budget: TryBudget;
  readonly delays: RecentDelays;
  readonly attempts: number;
  /** Milliseconds; null for what was measured. */
  readonly after: number | null;
}

interface Try {
  readonly giveUp: AbortController;
  readonly place: "first" | "further";
}

/** The tries of one request. */
class Race {
  readonly #parts: RaceParts;
  readonly #beganMs: number;
  /** What gives up each try that has no end yet. */
  readonly #running = new Set<AbortController>();
  #started = 0;
  #cancelTimer: () => void = () => {};
  #over = false;
  #resolve: (outcome: Outcome) => void = () => {};
  #reject: (defect: unknown) => void = () => {};

  constructor(parts: RaceParts) {
    this.#parts = parts;
    this.#beganMs = parts.tools.clock.now();
  }

  /** The first good outcome, else the last one; rejects with what is no failure of a message. */
  ended(): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#start();
    });
  }

  #start(): void {
    const giveUp = new AbortController();
    const place = this.#started === 0 ? "first" : "further";
    this.#started++;
    this.#running.add(giveUp);
    outcomeOf(this.#parts.send({ signal: giveUp.signal })).then(
      (outcome) => this.#finished(outcome, { giveUp, place }),
      (defect: unknown) => {
        this.#end(giveUp);
        this.#reject(defect);
      },
    );
    this.#planNext();
  }

  #planNext(): void {
    const { after, delays, attempts, tools } = this.#parts;
    const waitMs = after ?? delays.atShareMs;
    if (waitMs === null || this.#started >= attempts) return;
    this.#cancelTimer = tools.clock.after(waitMs, () => this.#startAnother());
  }

  #startAnother(): void {
    const { budget, call, tools } = this.#parts;
    if (!budget.take()) tools.metrics.count("hedges_withheld", { route: call.route });
    else {
      tools.metrics.count("hedges", { route: call.route });
      this.#start();
    }
  }

  #finished(outcome: Outcome, { giveUp, place }: Try): void {
    this.#running.delete(giveUp);
    if (this.#over) {
      dropAnswer(outcome);
      return;
    }
    const isGood = outcome.response !== null && outcome.response.status < 500;
    if (!isGood && this.#running.size > 0) {
      dropAnswer(outcome);
      return;
    }
    if (isGood) this.#note(place);
    this.#end(giveUp);
    this.#resolve(outcome);
  }

  /** Where another was faster, the first one would have taken longer still. */
  #note(place: Try["place"]): void {
    const { delays, tools, call } = this.#parts;
    delays.add(tools.clock.now() - this.#beganMs);
    if (place === "further") tools.metrics.count("hedges_won", { route: call.route });
  }

  #end(winner: AbortController): void {
    this.#over = true;
    this.#cancelTimer();
    this.#running.delete(winner);
    for (const giveUp of this.#running) giveUp.abort();
  }
}
