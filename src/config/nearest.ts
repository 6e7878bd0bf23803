/** Which known word somebody may have meant. */

/** Longer words are not compared. */
const wordLengthMax = 64;

/** "did you mean `requests`?", or the known words when there are few, as hints. */
export function nearestHints(word: string, known: readonly string[]): string[] {
  const near = nearest(word, known);
  return near === null ? knownHints(known) : [`did you mean \`${near}\`?`];
}

/** The known words when they are few, as hints. */
export function knownHints(known: readonly string[]): string[] {
  return known.length > 0 && known.length <= 24 ? [`known here: ${known.join(", ")}`] : [];
}

/** The known word with the fewest edits, when they are few for its length; null when none is near. */
export function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.min(3, Math.floor(word.length / 3) + 1) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= bestDistance || candidate.length > wordLengthMax)
      continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance && distance < candidate.length) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Insertions, removals, changes and swaps of neighbours (the restricted Damerau-Levenshtein distance). */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1));
      const swapped =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) cost = Math.min(cost, beforeLast[column - 2]! + 1);
      current.push(cost);
    }
    [beforeLast, last] = [last, current];
  }
  return last[to.length]!;
}
