/** YAML gives a meaning to some first characters; this shows the line with the value in quotes. */
import { placeName, type Range } from "./source.ts";

const meanings: Readonly<Record<string, string>> = {
  "*": "a reference to an anchor",
  "&": "an anchor",
  "!": "a tag",
  "[": "a list",
  "%": "a directive",
  "@": "reserved",
  "`": "reserved",
};

export interface Quoting {
  readonly range: Range;
  readonly message: string;
  readonly hints: readonly string[];
}

/** For a value that begins with a character that YAML claims; null when it does not. */
export function quotingOf(range: Range): Quoting | null {
  const { file, start } = range;
  const first = file.text.charAt(start);
  const meaning = meanings[first];
  if (meaning === undefined) return null;
  const { line, column } = file.position(start);
  const text = file.line(line);
  const end = column - 1 + valueLength(text, column - 1);
  const value = text.slice(column - 1, end);
  const quoted = `${text.slice(0, column - 1)}${JSON.stringify(value)}${text.slice(end)}`;
  return {
    range: { file, start, end: start + value.length },
    message: `cannot read ${value}: an unquoted ${first} begins ${meaning === "reserved" ? "nothing in YAML" : `${meaning} in YAML`}`,
    hints: [
      `quote it: ${quoted.trim()}`,
      ...(first === "*" ? [`or define the anchor before ${placeName(range)}`] : []),
    ],
  };
}

/** How far the value goes that somebody meant: to a comment or the line's end, inside a flow collection to its next sign. */
function valueLength(line: string, from: number): number {
  const inFlow = flowDepth(line.slice(0, from)) > 0;
  let depth = 0;
  let at = from;
  for (; at < line.length; at += 1) {
    const character = line.charAt(at);
    if (character === "#" && /\s/.test(line.charAt(at - 1))) break;
    if (character === "[" || character === "{") depth += 1;
    if (inFlow && depth === 0 && /[,\]}]/.test(character)) break;
    if (character === "]" || character === "}") depth -= 1;
  }
  return Math.max(1, line.slice(from, at).trimEnd().length);
}

function flowDepth(text: string): number {
  const bare = text.replace(/"(?:[^"\\]|\\.)*"|'[^']*'/g, "");
  return (bare.match(/[[{]/g)?.length ?? 0) - (bare.match(/[\]}]/g)?.length ?? 0);
}
