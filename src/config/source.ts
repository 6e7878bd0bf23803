/** A file's text, and places in it. */

/** Longer lines are not shown: whoever wrote them does not read them either. */
const excerptCharactersMax = 400;

export class SourceFile {
  /** As problems spell it: relative when the main file was named so. */
  readonly name: string;
  readonly text: string;
  private readonly lineStarts: number[] = [0];

  constructor(name: string, text: string) {
    this.name = name;
    this.text = text.startsWith("\uFEFF") ? text.slice(1) : text;
    for (let at = this.text.indexOf("\n"); at >= 0; at = this.text.indexOf("\n", at + 1)) {
      this.lineStarts.push(at + 1);
    }
  }

  /** Counted from 1; an offset outside the text is moved to its nearer end. */
  position(offset: number): { line: number; column: number } {
    const inside = Math.max(0, Math.min(offset, this.text.length));
    let low = 0;
    let high = this.lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.lineStarts[middle]! <= inside) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: inside - this.lineStarts[low]! + 1 };
  }

  /** The text of a line, counted from 1, without its end. */
  line(number: number): string {
    const start = this.lineStarts[number - 1] ?? this.text.length;
    const end = (this.lineStarts[number] ?? this.text.length + 1) - 1;
    return this.text.slice(start, end).replace(/\r$/, "");
  }
}

/** Text [start, end) of a file. */
export interface Range {
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
}

export function lineOf(range: Range): number {
  return range.file.position(range.start).line;
}

/** `clearway.yaml:14` */
export function placeName(range: Range): string {
  return `${range.file.name}:${lineOf(range)}`;
}

/** The first line of a range, and how much of it is meant; null when the line is too long to be shown. */
export function excerptOf(range: Range): { text: string; length: number } | null {
  const { line, column } = range.file.position(range.start);
  const text = range.file.line(line);
  if (text.length > excerptCharactersMax) return null;
  const rest = text.slice(column - 1, column - 1 + Math.max(0, range.end - range.start)).trimEnd();
  return { text, length: Math.max(1, rest.length) };
}
