import { Command } from "commander";
import type { Problem, Snapshot } from "../snapshot.ts";
import type { Terminal } from "../types.ts";
import { configFileOption } from "./options.ts";

export interface CheckVerb {
  readonly terminal: Terminal;
  load(file: string): Promise<Checked>;
  formatProblem(problem: Problem): string;
  /** e.g. `2 problems in clearway.yaml` */
  formatSummary(problems: readonly Problem[]): string;
}

export interface Checked {
  /** Null when there are problems. */
  readonly snapshot: Snapshot | null;
  readonly problems: readonly Problem[];
  /** The config with every default and include in it. */
  resolved(format: "yaml" | "json"): string;
}

interface CheckOptions {
  readonly config: string;
  readonly resolved?: true;
  readonly json?: true;
}

export function checkCommand(check: CheckVerb, finish: (code: number) => void): Command {
  return new Command("check")
    .description("check a config file and print every problem: exit 0, or 1 with problems")
    .addOption(configFileOption())
    .option("--resolved", "print the config with every default and include")
    .option("--json", "print one JSON document and nothing else")
    .action(async (options: CheckOptions) => finish(await report(check, options)));
}

async function report(check: CheckVerb, options: CheckOptions): Promise<number> {
  const checked = await check.load(options.config);
  const { terminal } = check;
  if (checked.problems.length > 0 || checked.snapshot === null) {
    if (options.json) terminal.out(JSON.stringify({ problems: checked.problems }, null, 2));
    else terminal.out(problemsText(check, checked.problems));
    return 1;
  }
  if (options.resolved) terminal.out(checked.resolved(options.json ? "json" : "yaml").trimEnd());
  else if (options.json) terminal.out(JSON.stringify({ problems: [] }, null, 2));
  else terminal.out(`${options.config} is right: ${contents(checked.snapshot)}`);
  return 0;
}

function problemsText(check: CheckVerb, problems: readonly Problem[]): string {
  const blocks = problems.map((problem) => `${check.formatProblem(problem)}\n`);
  return [...blocks, check.formatSummary(problems)].join("\n");
}

/** `2 listeners, 5 routes, 3 services` */
function contents({ listeners, services }: Snapshot): string {
  const routes = listeners.reduce((sum, listener) => sum + listener.routes.length, 0);
  return [
    counted(listeners.length, "listener"),
    counted(routes, "route"),
    counted(services.length, "service"),
  ].join(", ");
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
