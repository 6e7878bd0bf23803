import { Command } from "commander";

/** `duration` is as the user wrote it; null runs until it is stopped. */
export type DemoVerb = (options: { readonly duration: string | null }) => Promise<number>;

export function demoCommand(demo: DemoVerb, finish: (code: number) => void): Command {
  return new Command("demo")
    .description("run an online store on this machine, with traffic through a gateway")
    .option("--for <duration>", "stop by itself after so long, with a summary")
    .action(async (options: { for?: string }) => finish(await demo({ duration: options.for ?? null })));
}
