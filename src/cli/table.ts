const edges = ["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left"] as const;
const inside = ["bottom-right", "left", "left-mid", "mid", "mid-mid", "right", "right-mid"] as const;
const none = Object.fromEntries([...edges, ...inside].map((name) => [name, ""]));

/** Columns of text, two spaces apart; without rows the head alone. */
export async function columns(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): Promise<string> {
  // Every verb's file is read at every start, also that of a node.
  const { default: Table } = await import("cli-table3");
  const table = new Table({
    chars: { ...none, middle: "  " },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  table.push([...head], ...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
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
