/** Tables, for a terminal and for Markdown. */
import type { Spread } from "./statistics.ts";

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What the columns mean, and what was not as it should be. */
  readonly notes: readonly string[];
}

export function textTable(table: Table): string {
  const lines = [table.columns, ...table.rows];
  const widths = table.columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  const text = lines.map((line) =>
    line
      .map((cell, index) => {
        const width = widths[index]!;
        return isNumeric(table, index) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
  return [table.title, "", ...text, "", ...table.notes.map((note) => `- ${note}`), ""].join("\n");
}

export function markdownTable(table: Table): string {
  const lines = [`### ${table.title}`, "", ...markdownLines(table.columns, table.rows)];
  return [...lines, "", ...table.notes.map((note) => `- ${note}`), ""].join("\n");
}

export function markdownLines(columns: Table["columns"], rows: Table["rows"]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const marks = columns.map((_, index) => (isNumeric({ rows }, index) ? "---:" : "---"));
  return [line(columns), line(marks), ...rows.map(line)];
}

/** Numbers stand to the right, words to the left. */
function isNumeric(table: Pick<Table, "rows">, index: number): boolean {
  return table.rows.every((row) => /^[\d.,%-]*$/.test(row[index] ?? ""));
}

/** Three digits that matter; whole numbers from 100 on. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function percent(share: number): string {
  return Number.isFinite(share) ? `${Math.round(share * 100)}%` : "-";
}

export function mebibytes(bytes: number): string {
  return Number.isFinite(bytes) ? (bytes / 2 ** 20).toFixed(1) : "-";
}

/** The median of paired ratios, and their range. */
export function describeSpread(ratio: Spread | null): [middle: string, range: string] {
  if (ratio === null) return ["-", "-"];
  return [ratio.median.toFixed(2), `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`];
}
