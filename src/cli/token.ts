import { Command, InvalidArgumentError } from "commander";
import type { Terminal } from "../machine.ts";
import { coordinatorOption, type OperatorAccess, orSayWhy } from "./operator.ts";

export interface TokenVerb {
  readonly terminal: Terminal;
  readonly operator: OperatorAccess;
  durations(): Promise<Durations>;
}

export interface Durations {
  /** Milliseconds; null when it is none. */
  parseDuration(text: string): number | null;
  /** What one looks like. */
  readonly durationWanted: string;
}

interface CreateOptions {
  readonly service: string;
  readonly ttl: string;
  readonly uses: number;
  readonly coordinator: string;
}

const usesMax = 100_000;
const ttlMsMin = 1000;
const ttlMsMax = 720 * 3_600_000;

export function tokenCommand(verb: TokenVerb, finish: (code: number) => void): Command {
  return new Command("token")
    .description("make tokens with which nodes join the mesh, and take all tokens back")
    .helpCommand(false)
    .addCommand(
      new Command("create")
        .description("print a token with which nodes of one service may join; it is kept nowhere")
        .requiredOption("--service <name>", "the service that the nodes will be")
        .option("--ttl <duration>", "how long it can be used", "10m")
        .option("--uses <count>", "how many nodes may join with it", usesOf, 1)
        .addOption(coordinatorOption())
        .action(async (options: CreateOptions) =>
          finish(await orSayWhy(verb.terminal, () => create(verb, options))),
        ),
    )
    .addCommand(
      new Command("rotate")
        .description("make every token void, the operator's too: the coordinator writes it another one")
        .addOption(coordinatorOption())
        .action(async ({ coordinator }: Pick<CreateOptions, "coordinator">) =>
          finish(await orSayWhy(verb.terminal, () => rotate(verb, coordinator))),
        ),
    );
}

async function rotate({ terminal, operator }: TokenVerb, coordinator: string): Promise<number> {
  const calls = await operator(coordinator);
  await calls.post("/v1/tokens/rotation", {});
  terminal.out("every token that was made until now is void: the operator's, and those for joining");
  terminal.out("the operator's new one is in .clearway/operator.token where the coordinator was started");
  terminal.out("nodes that joined stay: see clearway get identities for any that should not have");
  return 0;
}

/** The token alone on stdout, so that a script can take it as it is. */
async function create({ terminal, operator, durations }: TokenVerb, options: CreateOptions): Promise<number> {
  const { service, ttl, uses, coordinator } = options;
  const { parseDuration, durationWanted } = await durations();
  const ttlMs = parseDuration(ttl);
  if (ttlMs === null || ttlMs < ttlMsMin || ttlMs > ttlMsMax) {
    const wanted = `${durationWanted}, from 1s to 720h`;
    throw new Error(`cannot read ${JSON.stringify(ttl)} after --ttl: wanted ${wanted}`);
  }
  const calls = await operator(coordinator);
  const { token, expiresEpochMs } = await calls.post<{
    readonly token: string;
    readonly expiresEpochMs: number;
  }>("/v1/tokens", { service, ttlMs, uses });
  const times = uses === 1 ? "once" : `${uses} times`;
  const until = new Date(expiresEpochMs).toISOString();
  terminal.error(`a join token for nodes of ${service}, good ${times} until ${until}:`);
  terminal.out(token);
  return 0;
}

function usesOf(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= usesMax) return count;
  throw new InvalidArgumentError(`wanted 1 to ${usesMax}.`);
}
