import { Command, InvalidArgumentError } from "commander";

export interface DemoVerb {
  /** Milliseconds, or null when the text is no duration. */
  parseDuration(text: string): number | null;
  /** `forMs` is null when it runs until it is stopped. */
  run(options: { readonly forMs: number | null }): Promise<number>;
}

export function demoCommand(demo: DemoVerb, finish: (code: number) => void): Command {
  const parse = (text: string): number => {
    const forMs = demo.parseDuration(text);
    if (forMs === null) throw new InvalidArgumentError("wanted a duration such as 20s or 2m.");
    return forMs;
  };
  return new Command("demo")
    .description("run an online store on this machine, with traffic through a gateway")
    .option("--for <duration>", "stop by itself after so long, with a summary", parse)
    .action(async (options: { for?: number }) => finish(await demo.run({ forMs: options.for ?? null })));
}
