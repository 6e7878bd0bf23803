import { Argument, Command } from "commander";
import type { Clock, Terminal } from "../machine.ts";
import { type Listing, type ListingFacts, type ListingName, listingNames, listings } from "./listings.ts";
import { coordinatorOption, type OperatorAccess, orSayWhy, outputOption } from "./operator.ts";
import { columns } from "./table.ts";
import type { Durations } from "./token.ts";

export interface GetVerb {
  readonly terminal: Terminal;
  readonly operator: OperatorAccess;
  readonly clock: Pick<Clock, "epochMs">;
  durations(): Promise<Durations>;
}

interface GetOptions {
  readonly expiring?: string;
  readonly coordinator: string;
  readonly output: "text" | "json";
}

export function getCommand(verb: GetVerb, finish: (code: number) => void): Command {
  return new Command("get")
    .description("list what is in the mesh")
    .addArgument(new Argument("<what>", "what is listed").choices(listingNames))
    .argument("[name]", "of this service alone; a version's number for versions")
    .option(
      "--expiring <duration>",
      "identities that end so soon, of nodes that are there: exit 1 if there is any",
    )
    .addOption(coordinatorOption())
    .addOption(outputOption())
    .action(async (what: ListingName, name: string | undefined, options: GetOptions) =>
      finish(await orSayWhy(verb.terminal, () => get(verb, { what, name: name ?? null }, options))),
    );
}

async function get(
  verb: GetVerb,
  { what, name }: { readonly what: ListingName; readonly name: string | null },
  options: GetOptions,
): Promise<number> {
  const { terminal, clock } = verb;
  const expiringMs = await expiring(verb, what, options);
  const calls = await verb.operator(options.coordinator);
  const facts: ListingFacts = { calls, name, nowEpochMs: clock.epochMs(), expiringMs };
  const listing = await listings[what](facts);
  terminal.out(options.output === "json" ? JSON.stringify(listing.json, null, 2) : await textOf(listing));
  return listing.alarm === "yes" ? 1 : 0;
}

async function textOf({ head, rows, none }: Listing): Promise<string> {
  return rows.length === 0 ? none : columns(head, rows);
}

/** Milliseconds; null when nothing is said. */
async function expiring(
  verb: GetVerb,
  what: ListingName,
  { expiring: text }: GetOptions,
): Promise<number | null> {
  if (text === undefined) return null;
  if (what !== "identities")
    throw new Error("--expiring is for identities: clearway get identities --expiring 6h");
  const { parseDuration, durationWanted } = await verb.durations();
  const milliseconds = parseDuration(text);
  if (milliseconds !== null) return milliseconds;
  throw new Error(`cannot read ${JSON.stringify(text)} after --expiring: wanted ${durationWanted}`);
}
