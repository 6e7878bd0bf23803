/** What the checks of one endpoint say: the first settles it, after that it takes several in a row. */
import type { HealthCheckConfig } from "../../snapshot.ts";

export type Verdict = "unchecked" | "healthy" | "unhealthy";

export interface CheckResult {
  /** Null when the endpoint was well, else why not. */
  readonly problem: string | null;
  readonly atEpochMs: number;
  readonly tookMs: number;
}

/** What `/snapshot` shows. */
export interface HealthView {
  readonly verdict: Verdict;
  readonly since: string | null;
  /** Results in a row that speak against the verdict, of how many that change it. */
  readonly against: string;
  readonly lastCheck: {
    readonly at: string;
    readonly tookMs: number;
    readonly problem: string | null;
  } | null;
}

export class EndpointHealth {
  #verdict: Verdict = "unchecked";
  #sinceEpochMs: number | null = null;
  /** In a row, against the verdict. */
  #against = 0;
  #last: CheckResult | null = null;
  #check: HealthCheckConfig;

  constructor(check: HealthCheckConfig) {
    this.#check = check;
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  /** Nobody is left without an endpoint because it was not asked yet. */
  get isWell(): boolean {
    return this.#verdict !== "unhealthy";
  }

  /** The verdict stays, and is questioned from the start. */
  configure(check: HealthCheckConfig): void {
    this.#check = check;
    this.#against = 0;
  }

  /** Why the verdict changed, in words; null when it did not. */
  judge(result: CheckResult): string | null {
    this.#last = result;
    const said: Verdict = result.problem === null ? "healthy" : "unhealthy";
    const before = this.#verdict;
    if (said === before) {
      this.#against = 0;
      return null;
    }
    this.#against++;
    if (before !== "unchecked" && this.#against < this.#wanted) return null;
    const count = this.#against;
    this.#verdict = said;
    this.#sinceEpochMs = result.atEpochMs;
    this.#against = 0;
    // That all is well from the start is no news.
    if (before === "unchecked" && said === "healthy") return null;
    return reasonFor(result, before === "unchecked" ? "first" : count);
  }

  view(): HealthView {
    const last = this.#last;
    return {
      verdict: this.#verdict,
      since: this.#sinceEpochMs === null ? null : textOf(this.#sinceEpochMs),
      against: `${this.#against} of ${this.#verdict === "unchecked" ? 1 : this.#wanted}`,
      lastCheck:
        last === null
          ? null
          : { at: textOf(last.atEpochMs), tookMs: Math.round(last.tookMs), problem: last.problem },
    };
  }

  get #wanted(): number {
    return this.#verdict === "healthy" ? this.#check.unhealthy : this.#check.healthy;
  }
}

/** `is unhealthy: 3 checks in a row failed (last: connection refused)` */
function reasonFor({ problem }: CheckResult, count: number | "first"): string {
  const checks = count === "first" ? "its first check" : count === 1 ? "a check" : `${count} checks in a row`;
  if (problem === null) return `is healthy again: ${checks} passed`;
  return `is unhealthy: ${checks} failed (${count === "first" || count === 1 ? "" : "last: "}${problem})`;
}

function textOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
