/** What somebody's code threw, and where. */
import type { CodePlace } from "../../machine.ts";

const frame = /(?:\(|at )(?:async )?(?:file:\/\/)?([^()\s][^()]*?)(?:\?[^():]*)?:(\d+):(\d+)\)?$/;
/** Node begins the stack of a syntax error with it. */
const syntaxFrame = /^file:\/\/([^?]+)(?:\?[^:]*)?:(\d+)()$/;
/** Longer lines are not shown. */
const lineCharactersMax = 400;
/** Further ones are cut off. */
const thrownCharactersMax = 1_000;

/** The innermost place that is in one of these files, whose texts are given by their paths. */
export function placeOfError(error: unknown, texts: ReadonlyMap<string, string>): CodePlace | null {
  const { stack } = error instanceof Error ? error : { stack: undefined };
  for (const line of stack?.split("\n") ?? []) {
    const [, path = "", number = "", columnText = ""] =
      frame.exec(line.trim()) ?? syntaxFrame.exec(line) ?? [];
    const found = [...texts].find(([file]) => path === file || path.endsWith(`/${file}`));
    if (found === undefined) continue;
    const [file, source] = found;
    const text = source.split("\n")[Number(number) - 1]?.replace(/\r$/, "") ?? null;
    const shown = text === null || text.length > lineCharactersMax ? null : text;
    return { file, line: Number(number), column: Number(columnText || 1), text: shown, length: 1 };
  }
  return null;
}

/** In one line. */
export function thrownText(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text
    .trim()
    .replaceAll(/\s*\n\s*/g, " ")
    .slice(0, thrownCharactersMax);
}
