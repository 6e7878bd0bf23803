/** This checkout beside another revision, both built anew and measured in turn: faster, slower or undecided. */

import { buildCheckout, buildRevision, commitOf } from "../revision.ts";
import { median, pairedRatio, type Spread } from "../statistics.ts";
import { describeSpread, figure, mebibytes } from "../table.ts";
import { clearway, makeFolder, removeFolder, startBackend } from "../variants.ts";
import { type BenchOptions, chosenCases, type Report, roundsOf, type Workload } from "../workload.ts";
import { filtersVariant, type Http1Case, type Http1Row, cases as http1Cases, measureHttp1 } from "./http1.ts";

/** With fewer, the range of all rounds could be chance. */
const roundsToDecide = 6;

interface Case {
  readonly name: string;
  readonly work: Http1Case;
  readonly variant: "clearway" | typeof filtersVariant;
  readonly quick: boolean;
}

const plain: readonly [name: string, quick: boolean][] = [
  ["small, 64 connections", true],
  ["16 KiB down", false],
  ["64 KiB down", true],
  ["64 KiB up", false],
];

const cases: readonly Case[] = [
  ...plain.map(([name, quick]) => ({ name, work: workOf(name), variant: "clearway" as const, quick })),
  {
    ...{ name: "small, three filters", work: workOf("small, 64 connections") },
    ...{ variant: filtersVariant, quick: true },
  },
];

function workOf(name: string): Http1Case {
  return http1Cases.find((each) => each.name === name)!;
}

export interface CompareRow extends Omit<Http1Row, "case"> {
  readonly case: string;
  readonly side: "here" | "there";
  /** The commit of the other revision. */
  readonly commit: string;
}

async function* run(options: BenchOptions): AsyncGenerator<CompareRow, void, void> {
  const commit = commitOf(options.compare ?? "HEAD");
  const chosen = chosenCases("compare", cases, options);
  const folder = makeFolder();
  options.say(`compare: building this checkout and ${commit}`);
  const sides = [
    { side: "here", program: buildCheckout(folder) },
    { side: "there", program: buildRevision(commit, folder) },
  ] as const;
  const backend = await startBackend(folder);
  try {
    for (const round of roundsOf(options, { full: 9, quick: 6 })) {
      for (const { name, work, variant } of chosen) {
        for (const { side, program } of round % 2 === 1 ? sides : sides.toReversed()) {
          options.say(`compare: round ${round}: ${name}: ${side}`);
          const measured = { work, variant: clearway([program], variant), round, backendPort: backend.port };
          yield { ...(await measureHttp1({ ...measured, options })), case: name, side, commit };
        }
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

const speed = ["faster", "slower"];

const quantities = [
  { name: "CPU us/request", read: (row: CompareRow) => row.cpuUs / row.requests, show: figure, words: speed },
  { name: "p99 us at saturation", read: (row: CompareRow) => row.p99Us, show: figure, words: speed },
  { name: "Pss MiB", read: (row: CompareRow) => row.pssBytes, show: mebibytes, words: ["smaller", "larger"] },
] as const;

function report(rows: readonly CompareRow[]): Report {
  const good = rows.filter(({ error }) => error === null);
  const lines = [...new Set(rows.map((row) => row.case))].flatMap((name) =>
    quantities.map(({ name: quantity, read, show, words }) => {
      const of = (side: CompareRow["side"]) =>
        new Map(
          good.filter((row) => row.case === name && row.side === side).map((row) => [row.round, read(row)]),
        );
      const [here, there] = [of("here"), of("there")];
      const ratio = pairedRatio(here, there);
      const middle = (values: ReadonlyMap<number, number>) => show(median([...values.values()]));
      return [name, quantity, middle(there), middle(here), ...describeSpread(ratio), verdictOf(ratio, words)];
    }),
  );
  const commit = rows[0]?.commit ?? "";
  const rounds = Math.max(0, ...rows.map(({ round }) => round));
  const title = `This checkout beside ${commit}, rounds: ${rounds}`;
  const columns = ["work", "what", commit, "here", "ratio", "rounds", "verdict"];
  const notes = [
    "ratio: here over there in the same round, median and range; less is better in all rows",
    `faster, slower: 1 lies outside the interval that holds the median with 95 %; undecided: inside it, or fewer than ${roundsToDecide} rounds`,
  ];
  const problems = rows.flatMap(({ case: name, side, round, error, failed }) => {
    if (error === null && failed === 0) return [];
    return [`compare: round ${round}, ${name}, ${side}: ${error ?? `${failed} requests failed`}`];
  });
  return { tables: [{ title, columns, rows: lines, notes }], problems };
}

/** The first word for less, the second for more. */
function verdictOf(ratio: Spread | null, [less, more]: readonly string[]): string {
  if (ratio === null || ratio.rounds < roundsToDecide) return "undecided";
  if (ratio.high < 1) return less!;
  return ratio.low > 1 ? more! : "undecided";
}

export const compare: Workload<CompareRow> = {
  ...{ name: "compare", title: "beside another revision", quickSeconds: 150 },
  run,
  report,
};
