/** A page of docs/ that a test follows: its files are written, its commands run, and they have to print what it shows. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { program } from "./program.ts";

export interface Block {
  /** What stands behind the fence: console, yaml, ... */
  readonly kind: string;
  readonly text: string;
}

export interface Step {
  readonly command: string;
  readonly shown: readonly string[];
}

export function blocksOf(page: string): Block[] {
  return [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, kind = "", text = ""]) => ({ kind, text }));
}

/** Of a console: each line behind `$`, with those that it prints. */
export function stepsOf(text: string): Step[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const [command = "", ...shown] = step.trimEnd().split("\n");
      return { command, shown };
    });
}

/** The first line that does not follow, in what was printed, on those before it; null when all do. */
export function missing(output: string, shown: readonly string[]): string | null {
  let at = 0;
  for (const line of shown) {
    at = output.indexOf(line.trim(), at);
    if (at < 0) return line;
    at += line.trim().length;
  }
  return null;
}

/** A file whose first line, a comment, is its name; null where it is none. */
export function fileOf(text: string): { readonly name: string; readonly content: string } | null {
  const [, name, content] = /^(?:\/\/|#) (\S+\.\w+)\n(.*)$/s.exec(text) ?? [];
  return name === undefined || content === undefined ? null : { name, content };
}

export async function writeInto(folder: string, name: string, content: string): Promise<void> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

/** An environment in which `clearway` is the program under test. */
export async function withClearway(folder: string): Promise<Record<string, string>> {
  await mkdir(folder, { recursive: true });
  const words = program.map((word) => `'${word}'`).join(" ");
  await writeFile(join(folder, "clearway"), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  return { PATH: `${folder}:${process.env.PATH}` };
}
