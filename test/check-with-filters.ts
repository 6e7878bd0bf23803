/** `clearway check` of a config with one filter of the user's own, in a folder of its own. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Problem } from "../src/snapshot.ts";
import { program } from "./program.ts";

export const defineHead = 'import { defineFilter, z } from "clearway/plugin";\n';

/** A filter of the name that `check` uses, with these parts. */
export function filterText(parts: { readonly options?: string; readonly middleware?: string }): string {
  const { options = "z.strictObject({})", middleware = "() => async (c, next) => next()" } = parts;
  return `${defineHead}export default defineFilter({ name: "own", summary: "", options: ${options}, middleware: ${middleware} });\n`;
}

export function configText(filters: string): string {
  return `listeners:\n  web:\n    bind: 127.0.0.1:1\n    filters: [${filters}]\n    routes: [{ match: { path: /* }, respond: { status: 200, body: ok } }]\n`;
}

export interface CheckedText {
  readonly code: number;
  readonly problems: readonly Problem[];
  /** On stderr; stdout had the problems and nothing else. */
  readonly printed: string;
}

/** `files` by their paths; `clearway.yaml` is that with `./own.ts` unless it is among them. */
export async function checkFiles(files: Readonly<Record<string, string>>): Promise<CheckedText> {
  const folder = await mkdtemp(join(tmpdir(), "clearway-check-"));
  try {
    for (const [path, text] of Object.entries({ "clearway.yaml": configText("./own.ts"), ...files })) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    const child = Bun.spawn([...program, "check", "--json"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, printed, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (out === "") throw new Error(`check printed nothing and ended with ${code}: ${printed}`);
    const { problems } = JSON.parse(out) as { problems: Problem[] };
    return { code, problems, printed };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Each problem in one line. */
export function shown({ file, line, column, message, hints }: Problem): string {
  return [`${file}:${line}:${column} ${message}`, ...hints].join(" | ");
}
