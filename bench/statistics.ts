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
  /** The interval that holds the true median with 95 %; the whole range with fewer than six rounds. */
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const outside = outsideOf(sorted.length);
  return {
    median: median(sorted),
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    low: sorted[outside] ?? Number.NaN,
    high: sorted[sorted.length - 1 - outside] ?? Number.NaN,
    rounds: sorted.length,
  };
}

/**
 * How many of the lowest rounds, and of the highest, may be left out so that the true median still lies between the
 * rest with 95 %: each round falls below it with one half, as a coin does (the sign test). Of nine rounds it is one.
 */
function outsideOf(rounds: number): number {
  let tail = 0;
  let term = 0.5 ** rounds;
  for (let count = 0; count < rounds / 2; count++) {
    tail += term;
    // So many below would be chance in more than 5 of 100 cases, on either side.
    if (2 * tail > 0.05) return Math.max(0, count - 1);
    term = (term * (rounds - count)) / (count + 1);
  }
  return 0;
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

/** What the rows of a round differ by. Null when no round has both. */
export function differences(
  row: ReadonlyMap<number, number>,
  reference: ReadonlyMap<number, number>,
): Spread | null {
  const found = [...row].flatMap(([round, value]) => {
    const other = reference.get(round);
    return other === undefined ? [] : [value - other];
  });
  return found.length === 0 ? null : spreadOf(found);
}

export type Verdict = "within" | "over" | "undecided";

/** Undecided when the margin lies inside the interval of the median, or there are too few rounds. */
export function verdictOf(ratio: Spread, margin: number): Verdict {
  if (ratio.rounds < roundsToDecide) return "undecided";
  if (ratio.high <= margin) return "within";
  return ratio.low > margin ? "over" : "undecided";
}
