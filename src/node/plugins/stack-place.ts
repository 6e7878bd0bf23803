/** Where in somebody's code an error was thrown. */
import type { CodePlace } from "../../machine.ts";

const frame = /(?:\(|at )(?:async )?(?:file:\/\/)?([^()\s][^()]*?)(?:\?[^():]*)?:(\d+):(\d+)\)?$/;
/** Longer lines are not shown. */
const lineCharactersMax = 400;

/** The innermost place that is in one of these files, whose texts are given by their paths. */
export function placeOfError(error: unknown, texts: ReadonlyMap<string, string>): CodePlace | null {
  const { stack } = error instanceof Error ? error : { stack: undefined };
  for (const line of stack?.split("\n") ?? []) {
    const [, path = "", number = "", columnText = ""] = frame.exec(line.trim()) ?? [];
    const found = [...texts].find(([file]) => path === file || path.endsWith(`/${file}`));
    if (found === undefined) continue;
    const [file, source] = found;
    const text = source.split("\n")[Number(number) - 1]?.replace(/\r$/, "") ?? null;
    const shown = text === null || text.length > lineCharactersMax ? null : text;
    return { file, line: Number(number), column: Number(columnText), text: shown, length: 1 };
  }
  return null;
}
