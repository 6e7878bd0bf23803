import { Command } from "commander";
import type { ApplyAnswer, RollbackRequest, VersionSummary } from "../mesh.ts";
import { appliedText, type DocumentVerbs, differenceLines } from "./apply.ts";
import { versionNumber } from "./diff.ts";
import { liveLines } from "./live-nodes.ts";
import { coordinatorOption, orSayWhy, outputOption } from "./operator.ts";

export type RollbackVerb = Omit<DocumentVerbs, "load">;

interface RollbackOptions {
  readonly coordinator: string;
  readonly output: "text" | "json";
}

export function rollbackCommand(verb: RollbackVerb, finish: (code: number) => void): Command {
  return new Command("rollback")
    .description("apply an earlier version of the mesh document again, as a new version")
    .argument("<version>", "its number, as `clearway get versions` lists it", versionNumber)
    .addOption(coordinatorOption())
    .addOption(outputOption())
    .action(async (version: number, options: RollbackOptions) =>
      finish(await orSayWhy(verb.terminal, () => rollback(verb, version, options))),
    );
}

async function rollback(
  verb: RollbackVerb,
  version: number,
  { coordinator, output }: RollbackOptions,
): Promise<number> {
  const { terminal, operator, paint } = verb;
  const calls = await operator(coordinator);
  const { versions } = await calls.get<{ readonly versions: readonly VersionSummary[] }>("/v1/versions");
  const base = versions[0]?.version ?? 0;
  const request: RollbackRequest = { version, base };
  const answer = await calls.post<ApplyAnswer>("/v1/rollback", request);
  if (output === "json") terminal.out(JSON.stringify(answer, null, 2));
  else {
    const changes = differenceLines(answer.difference, await paint());
    const live = await liveLines(calls, answer, verb);
    terminal.out([...changes, appliedText(answer, base), ...live].join("\n"));
  }
  return 0;
}
