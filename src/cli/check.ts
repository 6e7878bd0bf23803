import { Command } from "commander";
import type { Terminal } from "../machine.ts";
import type { MeshConfig } from "../mesh.ts";
import type { Problem, Snapshot } from "../snapshot.ts";
import { configFileOption } from "./options.ts";

export interface CheckVerb {
  readonly terminal: Terminal;
  load(file: string): Promise<Checked>;
}

export interface Checked {
  /** What was checked, for people; null when there are problems. */
  readonly contents: string | null;
  readonly problems: readonly Problem[];
  /** Every problem for a person, with a summary at the end. */
  problemsText(): string;
  /** The config with every default and include. */
  resolvedText(format: "yaml" | "json"): string;
}

interface CheckOptions {
  readonly config: string;
  readonly resolved?: true;
  readonly json?: true;
}

export function checkCommand(verb: CheckVerb, finish: (code: number) => void): Command {
  return new Command("check")
    .description(
      "check the config file of a node, or a mesh document, and print every problem: exit 0, or 1 with problems",
    )
    .addOption(configFileOption())
    .option("--resolved", "print the config with every default and include")
    .option("--json", "print one JSON document and nothing else")
    .action(async (options: CheckOptions) => finish(await report(verb, options)));
}

async function report({ load, terminal }: CheckVerb, options: CheckOptions): Promise<number> {
  const { contents, problems, problemsText, resolvedText } = await load(options.config);
  if (contents === null) {
    terminal.out(options.json ? json({ problems }) : problemsText());
    return 1;
  }
  if (options.resolved) terminal.out(resolvedText(options.json ? "json" : "yaml"));
  else terminal.out(options.json ? json({ problems }) : `${options.config} is right: ${contents}`);
  return 0;
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/** `2 listeners, 5 routes, 3 services` */
export function snapshotContents({ listeners, services }: Snapshot): string {
  const routes = listeners.reduce((sum, listener) => sum + listener.routes.length, 0);
  const parts = [
    counted(listeners.length, "listener"),
    counted(routes, "route"),
    counted(services.length, "service"),
  ];
  return parts.join(", ");
}

/** `a mesh document with 3 services` */
export function documentContents({ services }: MeshConfig): string {
  return `a mesh document with ${counted(services.length, "service")}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
