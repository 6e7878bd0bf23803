import { Command, InvalidArgumentError } from "commander";
import { configFileOption } from "./options.ts";

export type RunVerb = (options: { readonly file: string }) => Promise<number>;

export function runCommand(run: RunVerb, finish: (code: number) => void): Command {
  return new Command("run")
    .description("run a node from a config file: SIGTERM drains it, SIGHUP or saving the file reloads it")
    .addOption(configFileOption())
    .option("--workers <count>", "worker processes", oneWorker, 1)
    .action(async ({ config }: { config: string }) => finish(await run({ file: config })));
}

function oneWorker(text: string): number {
  if (text !== "1") throw new InvalidArgumentError("several workers come in a later version: wanted 1.");
  return 1;
}
