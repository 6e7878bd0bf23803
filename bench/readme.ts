/** The part of README.md that is made from the newest results: between its two markers nothing is written by hand. */
import { chartNames } from "./charts/charts.ts";
import { labelOf } from "./labels.ts";
import type { Facts } from "./machine.ts";
import type { KeptRows } from "./results.ts";
import { median, pairedRatio } from "./statistics.ts";
import { describeSpread, figure, markdownLines, mebibytes } from "./table.ts";
import type { Http1Row } from "./workloads/http1.ts";
import type { MemoryRow } from "./workloads/memory.ts";
import type { ReloadRow } from "./workloads/reload-report.ts";
import type { StartRow } from "./workloads/start.ts";
import type { TlsRow } from "./workloads/tls.ts";

export const markers = {
  begin: "<!-- figures: made by `npm run bench -- charts` from bench/results -->",
  end: "<!-- end of figures -->",
} as const;

/** Of README.md, and of the charts' links in it. */
export const chartsFolder = "bench/results/charts";

const descriptions: Readonly<Record<(typeof chartNames)[number], string>> = {
  throughput: "Requests a second of Clearway and its peers",
  cpu: "CPU for each request of Clearway and its peers",
  latency: "Latency of Clearway and its peers by rate",
};

const works = [
  { workload: "http1", case: "small, 64 connections", variant: "clearway", name: "small GET" },
  {
    workload: "http1",
    case: "small, 512 connections",
    variant: "clearway",
    name: "small GET, 512 connections",
  },
  {
    workload: "tls",
    case: "small, kept, 64 connections",
    variant: "clearway",
    name: "small GET over TLS 1.3",
  },
  { workload: "http1", case: "16 KiB down", variant: "clearway", name: "16 KiB down" },
  { workload: "http1", case: "64 KiB down", variant: "clearway", name: "64 KiB down" },
  { workload: "http1", case: "1 MiB down", variant: "clearway", name: "1 MiB down" },
  {
    ...{ workload: "http1", case: "small, 64 connections", variant: "clearway, 3 filters" },
    name: "small GET, three filters in Clearway, none in the others",
  },
] as const;

const shownPeers = ["nginx", "haproxy", "envoy"] as const;

type Row = Http1Row | TlsRow;
type Results = ReadonlyMap<string, KeptRows>;

/** What stands between the markers, without them. Throws an Error when there are no results of `http1`. */
export function figuresBlock(results: Results, charts: ReadonlySet<string>): string {
  const facts = results.get("http1")?.facts;
  if (facts === undefined)
    throw new Error("no results of http1: wanted a full run of `npm run bench -- http1`");
  const pictures = chartNames.filter((name) => charts.has(`${name}-light.svg`)).map(pictureOf);
  const lines = [...pictures, factsLine(facts), "", ...tableLines(results), "", ...alsoLines(results)];
  return `${lines.join("\n").trimEnd()}\n`;
}

/** Throws an Error when the text has not both markers, in their order. */
export function withFigures(readme: string, block: string): string {
  const [begin, end] = [readme.indexOf(markers.begin), readme.indexOf(markers.end)];
  if (begin < 0 || end < begin) {
    throw new Error(`README.md has not the two lines "${markers.begin}" and "${markers.end}"`);
  }
  return `${readme.slice(0, begin + markers.begin.length)}\n\n${block}\n${readme.slice(end)}`;
}

function pictureOf(name: (typeof chartNames)[number]): string {
  return [
    "<picture>",
    `  <source media="(prefers-color-scheme: dark)" srcset="${chartsFolder}/${name}-dark.svg">`,
    `  <img alt="${descriptions[name]}" src="${chartsFolder}/${name}-light.svg" width="880">`,
    "</picture>",
    "",
  ].join("\n");
}

function factsLine({ machine, versions, commit, startedAt }: Facts): string {
  const used = ["Bun", ...shownPeers].flatMap((name) =>
    versions[name] ? [`${labelOf(name)} ${versions[name]}`] : [],
  );
  return `${machine.cpu}, ${machine.cores} cores; ${used.join(", ")}; commit ${commit.slice(0, 7)}, ${startedAt.slice(0, 10)}. Requests/s and CPU microseconds of each request, medians of all rounds; "of nginx": CPU over nginx's of the same round, with the range.`;
}

function tableLines(results: Results): string[] {
  const rowsOf = (workload: string) => (results.get(workload)?.rows ?? []) as readonly Row[];
  const peers = shownPeers.filter((peer) => rowsOf("http1").some(({ variant }) => variant === peer));
  const lines = works.flatMap((work) => {
    const rows = rowsOf(work.workload).filter((row) => row.case === work.case && row.error === null);
    const own = rows.filter(({ variant }) => variant === work.variant);
    if (own.length === 0) return [];
    const of = (variant: string) => rows.filter((row) => row.variant === variant);
    const [ratio, range] = describeSpread(pairedRatio(cpuByRound(own), cpuByRound(of("nginx"))));
    return [[work.name, cell(own), ...peers.map((peer) => cell(of(peer))), `${ratio} (${range})`]];
  });
  return markdownLines(["work", "Clearway", ...peers.map(labelOf), "of nginx"], lines);
}

/** What the table has no column for. */
function alsoLines(results: Results): string[] {
  const own = (results.get("start")?.rows ?? []) as readonly StartRow[];
  const starts = own.filter(({ variant }) => variant === "clearway").map((row) => row.firstAnswerMs);
  const reloads = (results.get("reload")?.rows ?? []) as readonly ReloadRow[];
  const memory = (results.get("memory")?.rows ?? []) as readonly MemoryRow[];
  return [
    ...(starts.length > 0
      ? [`- First answer ${figure(median(starts))} ms after \`exec\`, median of ${starts.length} starts.`]
      : []),
    ...memoryLines(memory.filter(({ requests }) => requests > 0)),
    ...reloadLines(reloads.filter(({ phase }) => phase === "reloading")),
  ];
}

function memoryLines(rows: readonly MemoryRow[]): string[] {
  const last = rows.at(-1);
  if (last === undefined) return [];
  const [low, high] = [Math.min, Math.max].map((most) => mebibytes(most(...rows.map((row) => row.pssBytes))));
  const size = low === high ? `${low} MiB` : `${low} to ${high} MiB`;
  return [
    `- ${size} for the whole node (sum of Pss) over ${(last.requests / 1e6).toFixed(1)} million requests.`,
  ];
}

function reloadLines(rows: readonly ReloadRow[]): string[] {
  return [...new Set(rows.map(({ variant = "clearway" }) => variant))].map((name) => {
    const mine = rows.filter(({ variant = "clearway" }) => variant === name);
    const sum = (read: (row: ReloadRow) => number) => mine.reduce((total, row) => total + read(row), 0);
    const requests = sum(({ succeeded, failed }) => succeeded + failed).toLocaleString("en");
    const reloads = sum((row) => row.reloads).toLocaleString("en");
    const failed = sum((row) => row.failed).toLocaleString("en");
    return `- ${labelOf(name)}, ${reloads} reloads under load: ${failed} of ${requests} requests failed.`;
  });
}

function cpuByRound(rows: readonly Row[]): Map<number, number> {
  return new Map(rows.map((row) => [row.round, row.cpuUs / row.requests]));
}

function cell(rows: readonly Row[]): string {
  if (rows.length === 0) return "-";
  const perSecond = median(rows.map((row) => (row.requests * 1e6) / row.elapsedUs));
  return `${figure(perSecond)}, ${figure(median([...cpuByRound(rows).values()]))} us`;
}
