import { Command, Option } from "commander";
import type { Clock, Terminal } from "../machine.ts";
import { type Listing, type ListingFacts, type ListingName, listingNames, listings } from "./listings.ts";
import { coordinatorOption, type OperatorAccess, orSayWhy } from "./operator.ts";
import { columns, shortId } from "./table.ts";
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
  readonly output: "text" | "wide" | "json";
}

const kinds = `${listingNames.slice(0, -1).join(", ")} or ${listingNames.at(-1)}`;

export function getCommand(verb: GetVerb, finish: (code: number) => void): Command {
  return new Command("get")
    .description("list what is in the mesh")
    .argument("[what]", kinds)
    .argument("[name]", "of this service alone; a version's number for versions")
    .option(
      "--expiring <duration>",
      "identities that end so soon, of nodes that are there: exit 1 if there is any",
    )
    .addOption(coordinatorOption())
    .addOption(
      new Option("-o, --output <form>", "how it is printed: wide has every column, and names in full")
        .choices(["text", "wide", "json"])
        .default("text"),
    )
    .action(async (what: string | undefined, name: string | undefined, options: GetOptions) =>
      finish(
        await orSayWhy(verb.terminal, () => get(verb, { what: listed(what), name: name ?? null }, options)),
      ),
    );
}

function listed(what: string | undefined): ListingName {
  const found = listingNames.find((name) => name === what);
  if (found !== undefined) return found;
  const tried = what === undefined ? "nothing is named to be listed" : `cannot list ${JSON.stringify(what)}`;
  throw new Error(`${tried}: wanted ${kinds}, as in clearway get services`);
}

async function get(
  verb: GetVerb,
  { what, name }: { readonly what: ListingName; readonly name: string | null },
  options: GetOptions,
): Promise<number> {
  const { terminal, clock } = verb;
  const { output } = options;
  const expiringMs = await expiring(verb, what, options);
  const calls = await verb.operator(options.coordinator);
  const facts: ListingFacts = { calls, name, nowEpochMs: clock.epochMs(), expiringMs };
  const listing = await listings[what](facts);
  terminal.out(
    output === "json" ? JSON.stringify(listing.json, null, 2) : await textOf(narrowed(listing, output)),
  );
  return listing.alarm === "yes" ? 1 : 0;
}

function narrowed(listing: Listing, output: "text" | "wide"): Listing {
  if (output === "wide") return listing;
  const { head, wide, rows } = listing;
  const shown = (_: string, index: number) => !wide.includes(head[index]!);
  return {
    ...listing,
    head: head.filter(shown),
    rows: rows.map((row) => row.filter(shown).map(shortId)),
  };
}

async function textOf(listing: Listing): Promise<string> {
  const { head, rows } = listing;
  return rows.length === 0 ? listing.none() : columns(head, rows);
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
