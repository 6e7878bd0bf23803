import { Command, InvalidArgumentError } from "commander";
import type { Difference, DocumentVersion } from "../mesh.ts";
import { type DocumentVerbs, differenceLines, loaded, tryDocument, versionText } from "./apply.ts";
import { coordinatorOption, orSayWhy, outputOption } from "./operator.ts";

export interface DiffVerb extends DocumentVerbs {
  difference(before: DocumentVersion | null, after: DocumentVersion): Promise<Difference>;
}

interface DiffOptions {
  readonly file?: string;
  readonly exitCode?: true;
  readonly coordinator: string;
  readonly output: "text" | "json";
}

export function diffCommand(verb: DiffVerb, finish: (code: number) => void): Command {
  return new Command("diff")
    .description("print what a mesh document would change, or what differs between two versions")
    .argument("[version]", "an earlier version", versionNumber)
    .argument("[other]", "the version that it is compared with; without it the one that holds", versionNumber)
    .option("-f, --file <file>", "the mesh document that is compared with the version that holds")
    .option("--exit-code", "exit 1 when anything differs")
    .addOption(coordinatorOption())
    .addOption(outputOption())
    .action(async (version: number | undefined, other: number | undefined, options: DiffOptions) =>
      finish(await orSayWhy(verb.terminal, () => diff(verb, [version, other], options))),
    );
}

async function diff(
  verb: DiffVerb,
  [version, other]: readonly [number | undefined, number | undefined],
  options: DiffOptions,
): Promise<number> {
  const { file, output, coordinator } = options;
  if ((file === undefined) === (version === undefined)) {
    throw new Error("wanted either a mesh document, diff -f FILE, or versions, diff 6 7");
  }
  if (file !== undefined) {
    const document = await loaded(verb, { file, output });
    if (document === null) return 1;
    const seen = await tryDocument(await verb.operator(coordinator), document);
    return show(verb, seen.difference, { ...options, against: versionText(seen.version) });
  }
  const calls = await verb.operator(coordinator);
  const read = (number: number | undefined) =>
    calls.get<DocumentVersion>(`/v1/document${number === undefined ? "" : `?version=${number}`}`);
  const [before, after] = await Promise.all([read(version), read(other)]);
  const against = `version ${before.version}, as of version ${after.version}`;
  return show(verb, await verb.difference(before, after), { ...options, against });
}

async function show(
  { terminal, paint }: DiffVerb,
  difference: Difference,
  { output, exitCode, against }: DiffOptions & { readonly against: string },
): Promise<number> {
  const isSame = difference.changes.length === 0;
  if (output === "json") terminal.out(JSON.stringify(difference, null, 2));
  else {
    const lines = differenceLines(difference, await paint());
    terminal.out(isSame ? `nothing differs from ${against}` : lines.join("\n"));
  }
  return exitCode && !isSame ? 1 : 0;
}

export function versionNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("wanted the number of a version, such as 7.");
}
