import { Command, InvalidArgumentError } from "commander";
import { configFileOption } from "./options.ts";

export interface RunOptions {
  readonly file: string;
  /** `auto` is one for each core. */
  readonly workers: number | "auto";
}

export interface RunParts {
  start(options: RunOptions): Promise<number>;
  readonly workersMax: number;
}

export function runCommand({ start, workersMax }: RunParts, finish: (code: number) => void): Command {
  return new Command("run")
    .description(
      "run a node from a config file: SIGTERM drains it, SIGHUP or saving the file reloads it, SIGUSR2 replaces its workers",
    )
    .addOption(configFileOption())
    .option("--workers <count>", "worker processes; auto is one for each core", workerCount(workersMax), 1)
    .action(async ({ config, workers }: { config: string; workers: RunOptions["workers"] }) =>
      finish(await start({ file: config, workers })),
    );
}

function workerCount(max: number): (text: string) => RunOptions["workers"] {
  return (text) => {
    if (text === "auto") return text;
    const count = Number(text);
    if (/^\d+$/.test(text) && count >= 1 && count <= max) return count;
    throw new InvalidArgumentError(`wanted 1 to ${max}, or auto.`);
  };
}
