/**
 * Columns of text, two spaces apart; without rows the head alone. A character is taken to be one column wide: what is listed
 * are names. (cli-table3 takes 40 s for 5,000 rows of eight cells.)
 */
export function columns(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) =>
    lines.reduce((width, line) => Math.max(width, line[column]?.length ?? 0), 0),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const drawnId = /^[0-9a-f]{32}$/;
const idDigitsShown = 8;

/** Of an id that a node drew for itself the first digits, which tell it from others; any other text as it is. */
export function shortId(text: string): string {
  return drawnId.test(text) ? `${text.slice(0, idDigitsShown)}…` : text;
}

/** `3d 4h`, `5h 12m`, `4m`, `12s`: the two largest units. */
export function shortTime(milliseconds: number): string {
  const seconds = Math.floor(Math.abs(milliseconds) / 1000);
  const [minutes, hours, days] = [
    Math.floor(seconds / 60),
    Math.floor(seconds / 3600),
    Math.floor(seconds / 86_400),
  ];
  if (days > 0) return `${days}d ${hours % 24}h`;
  if (hours > 0) return `${hours}h ${minutes % 60}m`;
  return minutes > 0 ? `${minutes}m` : `${seconds}s`;
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
