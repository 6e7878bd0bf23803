import { Command } from "commander";
import type { Clock, Terminal } from "../machine.ts";
import type { ApplyAnswer, ApplyRequest, CheckedDocument, Difference } from "../mesh.ts";
import type { Problem } from "../snapshot.ts";
import { differenceText, type Painter } from "./difference-text.ts";
import { liveLines } from "./live-nodes.ts";
import {
  coordinatorOption,
  type OperatorAccess,
  type OperatorCalls,
  orSayWhy,
  outputOption,
} from "./operator.ts";
import { counted } from "./table.ts";

/** A mesh document, checked on this machine: with its secrets, its environment, and the code of its filters. */
export interface LoadedDocument {
  /** Null when there are problems. */
  readonly document: CheckedDocument | null;
  readonly problems: readonly Problem[];
  /** Every problem for a person, with a summary at the end. */
  problemsText(): string;
}

/** What the verbs about documents have in common. */
export interface DocumentVerbs {
  readonly terminal: Terminal;
  readonly operator: OperatorAccess;
  readonly clock: Pick<Clock, "now" | "after">;
  paint(): Promise<Painter>;
  load(file: string): Promise<LoadedDocument>;
}

interface ApplyOptions {
  readonly file: string;
  readonly dryRun?: true;
  readonly coordinator: string;
  readonly output: "text" | "json";
}

export function applyCommand(verbs: DocumentVerbs, finish: (code: number) => void): Command {
  return new Command("apply")
    .description("check a mesh document, print what it changes, and make it the one that holds")
    .requiredOption("-f, --file <file>", "the mesh document")
    .option("--dry-run", "only print what would change")
    .addOption(coordinatorOption())
    .addOption(outputOption())
    .action(async (options: ApplyOptions) =>
      finish(await orSayWhy(verbs.terminal, () => apply(verbs, options))),
    );
}

async function apply(verbs: DocumentVerbs, options: ApplyOptions): Promise<number> {
  const { terminal } = verbs;
  const { coordinator, output, file } = options;
  const document = await loaded(verbs, { file, output });
  if (document === null) return 1;
  const calls = await verbs.operator(coordinator);
  const seen = await tryDocument(calls, document);
  if (options.dryRun) return showTried(verbs, seen, output);
  if (output === "text" && seen.difference.changes.length > 0) {
    terminal.out(differenceText(seen.difference, await verbs.paint()));
  }
  // What was shown is what is applied: if another version holds by now, nothing happens.
  const answer = await calls.put<ApplyAnswer>("/v1/document", requestOf(document, seen.version));
  if (output === "json") terminal.out(JSON.stringify(answer, null, 2));
  else
    terminal.out([appliedText(answer, seen.version), ...(await liveLines(calls, answer, verbs))].join("\n"));
  return 0;
}

/** Null when it has problems, which are printed then. */
export async function loaded(
  { load, terminal }: Pick<DocumentVerbs, "load" | "terminal">,
  { file, output }: Pick<ApplyOptions, "file" | "output">,
): Promise<CheckedDocument | null> {
  const { document, problems, problemsText } = await load(file);
  if (document !== null) return document;
  terminal.out(output === "json" ? JSON.stringify({ problems }, null, 2) : problemsText());
  return null;
}

/** What would change; nothing does. */
export function tryDocument(calls: OperatorCalls, document: CheckedDocument): Promise<ApplyAnswer> {
  return calls.put<ApplyAnswer>("/v1/document?dry-run=yes", requestOf(document, null));
}

export function requestOf({ files, config, resolved }: CheckedDocument, base: number | null): ApplyRequest {
  return { files, checked: { config, resolved }, base };
}

async function showTried(
  verbs: DocumentVerbs,
  { version, difference }: ApplyAnswer,
  output: "text" | "json",
): Promise<number> {
  const { terminal } = verbs;
  if (output === "json") terminal.out(JSON.stringify({ version, difference }, null, 2));
  else {
    const would = `${counted(difference.changes.length, "change")} against ${versionText(version)}; nothing was applied`;
    terminal.out([...differenceLines(difference, await verbs.paint()), would].join("\n"));
  }
  return 0;
}

export function differenceLines(difference: Difference, paint: Painter): string[] {
  return difference.changes.length === 0 ? [] : [differenceText(difference, paint)];
}

export function versionText(version: number): string {
  return version === 0 ? "nothing: no document was applied yet" : `version ${version}`;
}

export function appliedText({ version, difference }: ApplyAnswer, before: number): string {
  if (version === before) return `nothing differs: version ${version} holds`;
  if (difference.changes.length === 0) return `version ${version} holds: the same rules in another text`;
  return `version ${version} holds: ${counted(difference.changes.length, "change")}`;
}
