import { Command } from "commander";
import type { Terminal } from "../machine.ts";
import type { ApplyAnswer, RollbackRequest, VersionSummary } from "../mesh.ts";
import { appliedText, differenceLines } from "./apply.ts";
import { versionNumber } from "./diff.ts";
import type { Painter } from "./difference-text.ts";
import { coordinatorOption, type OperatorAccess, orSayWhy, outputOption } from "./operator.ts";

export interface RollbackVerb {
  readonly terminal: Terminal;
  readonly operator: OperatorAccess;
  paint(): Promise<Painter>;
}

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
  { terminal, operator, paint }: RollbackVerb,
  version: number,
  { coordinator, output }: RollbackOptions,
): Promise<number> {
  const calls = await operator(coordinator);
  const { versions } = await calls.get<{ readonly versions: readonly VersionSummary[] }>("/v1/versions");
  const base = versions[0]?.version ?? 0;
  const request: RollbackRequest = { version, base };
  const answer = await calls.post<ApplyAnswer>("/v1/rollback", request);
  if (output === "json") terminal.out(JSON.stringify(answer, null, 2));
  else
    terminal.out(
      [...differenceLines(answer.difference, await paint()), appliedText(answer, base)].join("\n"),
    );
  return 0;
}
