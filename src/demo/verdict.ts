/** What the demo checked, and whether it was so. */
import type { Split } from "./documents.ts";
import type { Failure } from "./shoppers.ts";
import type { StrangerCount } from "./strangers.ts";

export interface Finding {
  readonly what: string;
  readonly outcome: "ok" | "failed" | "not tried";
  readonly text: string;
}

const store = "spiffe://store.example";
/** A shopper who waited for a killed instance has an answer by then. */
const inFlightMs = 3000;
/** A right split is outside of this many standard deviations once in 16,000 times. */
const deviations = 4;
/** Fewer answers say nothing about shares. */
const answersMin = 50;

/** Requests by who sent them, over all instances of one service. */
export type CallersByService = ReadonlyMap<string, ReadonlyMap<string, number>>;

export function hopsFinding(callers: CallersByService): Finding {
  const what = "every hop was mTLS";
  let proved = 0;
  let unproved = 0;
  for (const counts of callers.values()) {
    for (const [caller, count] of counts) {
      if (caller.startsWith(`${store}/`)) proved += count;
      else unproved += count;
    }
  }
  if (proved + unproved === 0) return { what, outcome: "failed", text: "no request reached a service" };
  const text = `${grouped(proved)} of ${grouped(proved + unproved)} requests came with a proved identity`;
  return { what, outcome: unproved === 0 ? "ok" : "failed", text };
}

export function policyFinding(
  callers: CallersByService,
  strangers: ReadonlyMap<string, StrangerCount>,
): Finding {
  const what = "only storefront may pay";
  const ofPayments = callers.get("payments") ?? new Map<string, number>();
  const letIn = ofPayments.get(`${store}/storefront`) ?? 0;
  const others = [...ofPayments.values()].reduce((sum, count) => sum + count, 0) - letIn;
  const tries = [...strangers.values()];
  const tried = tries.reduce((sum, count) => sum + count.tried, 0);
  const refused = tries.reduce((sum, count) => sum + count.refused, 0);
  const names = [...strangers].map(([name, { answer }]) => `${name}: ${answer}`).join(", ");
  const right = others === 0 && letIn > 0 && tried > 0 && refused === tried;
  const text = `storefront ${grouped(letIn)} times; ${refused} of ${tried} others refused (${names})`;
  return { what, outcome: right ? "ok" : "failed", text };
}

export interface Losses {
  readonly killedAtMs: number | null;
  readonly repeatableSent: number;
  readonly onceSent: number;
  readonly failures: readonly Failure[];
}

/** A request that may not be repeated and was under way on an instance that died is nobody's fault: it is said. */
export function lossesFinding(losses: Losses): Finding {
  const what = "two instances were killed";
  const { killedAtMs, repeatableSent, onceSent } = losses;
  if (killedAtMs === null) return { what, outcome: "not tried", text: "there was no time for it" };
  const inFlight = losses.failures.filter((failure) => wasInFlight(failure, killedAtMs)).length;
  const lost = losses.failures.filter(({ kind }) => kind === "repeatable").length;
  const text = [
    `of ${grouped(repeatableSent)} requests that may be repeated ${lost} lost`,
    `of ${grouped(onceSent)} others ${inFlight} were in flight on them`,
  ].join("; ");
  return { what, outcome: lost === 0 ? "ok" : "failed", text };
}

export function wasInFlight({ kind, atMs }: Failure, killedAtMs: number | null): boolean {
  return kind === "once" && killedAtMs !== null && atMs >= killedAtMs && atMs <= killedAtMs + inFlightMs;
}

export function splitFinding([v1, v2]: Split, counts: ReadonlyMap<string, number>): Finding {
  const what = `products ${v1}/${v2}`;
  const first = counts.get("v1") ?? 0;
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  if (all < answersMin) return { what, outcome: "not tried", text: `${all} answers are too few to tell` };
  const wanted = v1 / (v1 + v2);
  const margin = deviations * Math.sqrt((wanted * (1 - wanted)) / all);
  const share = first / all;
  const text = `${percent(share)} of ${grouped(all)} answers from v1, wanted ${percent(wanted)} ±${percent(margin)}`;
  return { what, outcome: Math.abs(share - wanted) <= margin ? "ok" : "failed", text };
}

export interface Changes {
  readonly wanted: "yes" | "no";
  readonly live: number;
  readonly refused: number;
}

export function changesFinding({ wanted, live, refused }: Changes): Finding {
  const what = "mesh.yaml was saved";
  if (wanted === "no") return { what, outcome: "not tried", text: "there was no time for it" };
  const text = `${live} change live on every node, ${refused} slip refused`;
  return { what, outcome: live === 1 && refused === 1 ? "ok" : "failed", text };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

export function grouped(count: number): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}
