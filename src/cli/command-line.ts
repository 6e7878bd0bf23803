/** The command line as a whole: which verbs there are, and what a wrong one is told. What a verb does, main gives. */
import { Command, CommanderError } from "commander";
import type { Terminal } from "../machine.ts";
import { applyCommand } from "./apply.ts";
import { type CheckVerb, checkCommand } from "./check.ts";
import { type CoordinatorVerb, coordinatorCommand } from "./coordinator.ts";
import { type DemoVerb, demoCommand } from "./demo.ts";
import { type DiffVerb, diffCommand } from "./diff.ts";
import { type GetVerb, getCommand } from "./get.ts";
import { type PluginVerb, pluginCommand } from "./plugin.ts";
import { rollbackCommand } from "./rollback.ts";
import { type RunParts, runCommand } from "./run.ts";
import { type SchemaVerb, schemaCommand } from "./schema.ts";
import { execCommand, type SidecarVerb, sidecarCommand } from "./sidecar.ts";
import { type TokenVerb, tokenCommand } from "./token.ts";

export interface Verbs {
  readonly run: RunParts;
  readonly check: CheckVerb;
  readonly schema: SchemaVerb;
  readonly demo: DemoVerb;
  readonly sidecar: SidecarVerb;
  readonly plugin: PluginVerb;
  readonly coordinator: CoordinatorVerb;
  readonly token: TokenVerb;
  /** What apply, diff and rollback need. */
  readonly documents: DiffVerb;
  readonly get: GetVerb;
}

export interface CommandLine {
  /** What stands after the program's name. */
  readonly args: readonly string[];
  readonly version: string;
  readonly terminal: Terminal;
}

/** Does what the arguments say and returns the exit code. */
export async function runCommandLine(line: CommandLine, verbs: Verbs): Promise<number> {
  let code = 0;
  const finish = (verbCode: number) => {
    code = verbCode;
  };
  const program = new Command("clearway")
    .description("A service mesh in one program.")
    .version(line.version, "--version", "print the version")
    .helpCommand(false)
    // After a verb, --version is the verb's own.
    .enablePositionalOptions();
  const commands = [
    runCommand(verbs.run, finish),
    checkCommand(verbs.check, finish),
    schemaCommand(verbs.schema, finish),
    demoCommand(verbs.demo, finish),
    sidecarCommand(verbs.sidecar, finish),
    execCommand(verbs.sidecar, finish),
    pluginCommand(verbs.plugin, finish),
    coordinatorCommand(verbs.coordinator, finish),
    tokenCommand(verbs.token, finish),
    applyCommand(verbs.documents, finish),
    getCommand(verbs.get, finish),
    diffCommand(verbs.documents, finish),
    rollbackCommand(verbs.documents, finish),
  ];
  for (const command of commands) program.addCommand(command);
  for (const command of [program, ...commands, ...commands.flatMap((each) => each.commands)]) {
    speakPlainly(command, line.terminal);
  }
  try {
    await program.parseAsync(line.args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    throw error;
  }
  return code;
}

/** One line for an error, and no end of the process in the middle of it. */
function speakPlainly(command: Command, terminal: Terminal): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => terminal.out(text.trimEnd()),
    writeErr: (text) => terminal.error(text.trimEnd()),
    outputError: (text, write) => {
      const [what = "", suggestion] = text
        .replace(/^error: /, "")
        .trimEnd()
        .split("\n");
      write(`clearway: ${what}${suggestion === undefined ? "" : ` ${suggestion}`}`);
    },
  });
}
