/** What is said about the rounds of a row: middles, paired ratios, and whether they decide anything. */

/** Fewer rounds than this decide nothing. */
export const roundsToDecide = 3;

/** The middle value, or the mean of the two middle ones. NaN when there are none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return sorted.length === 0 ? Number.NaN : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    rounds: values.length,
  };
}

/**
 * The ratios of the rounds that both rows have, each of one round: what the machine did to a round, it did to both.
 * Null when no round has both.
 */
export function pairedRatio(
  row: ReadonlyMap<number, number>,
  reference: ReadonlyMap<number, number>,
): Spread | null {
  const ratios: number[] = [];
  for (const [round, value] of row) {
    const other = reference.get(round);
    if (other !== undefined && other > 0) ratios.push(value / other);
  }
  return ratios.length === 0 ? null : spreadOf(ratios);
}

export type Verdict = "within" | "over" | "undecided";

/** Undecided when rounds lie on both sides of the margin, or are too few. */
export function verdictOf(ratio: Spread, margin: number): Verdict {
  if (ratio.rounds < roundsToDecide) return "undecided";
  if (ratio.max <= margin) return "within";
  return ratio.min > margin ? "over" : "undecided";
}
