/** Weights as a list to draw from. */

/** Positions in a schedule; weights that need more are rounded. */
const scheduleLengthMax = 4096;

/** Indices of the endpoints, each as often as its weight says, and spread evenly. */
export function weightedSchedule(weights: readonly number[]): readonly number[] {
  const lengthMax = Math.max(scheduleLengthMax, weights.length);
  const unit = weights.every(Number.isInteger) ? weights.reduce(greatestCommonDivisor, 0) : 1;
  const total = weights.reduce((sum, weight) => sum + weight, 0) / unit;
  const exact = total <= lengthMax && weights.every((weight) => Number.isInteger(weight / unit));
  const turns: { index: number; time: number }[] = [];
  for (const [index, weight] of weights.entries()) {
    const share = weight / unit;
    const count = exact ? share : Math.max(1, Math.round((share / total) * scheduleLengthMax));
    // Each has its own phase, so that equal weights take turns in order.
    for (let turn = 0; turn < count; turn += 1) {
      turns.push({ index, time: (turn + index / weights.length) / count });
    }
  }
  return turns.sort((a, b) => a.time - b.time).map((turn) => turn.index);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
