/** Which charts there are, and which rows they are drawn from. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { labelOf } from "../labels.ts";
import type { Facts } from "../machine.ts";
import type { KeptRows } from "../results.ts";
import { median, spreadOf } from "../statistics.ts";
import type { Http1Row } from "../workloads/http1.ts";
import type { LatencyRow, SaturationRow } from "../workloads/latency-report.ts";
import { type BarChart, drawBars } from "./bars.ts";
import { drawLines, type LineChart } from "./lines.ts";
import { themes } from "./picture.ts";

export const chartNames = ["throughput", "cpu", "latency"] as const;
export type ChartName = (typeof chartNames)[number];

const works = [
  { case: "small, 64 connections", title: "small GET, 64 connections" },
  { case: "64 KiB down", title: "64 KiB down, 64 connections" },
];

/** Files by name, `<chart>-<theme>.svg`: those that the rows are there for. */
export function drawCharts(results: ReadonlyMap<string, KeptRows>): Map<string, string> {
  const files = new Map<string, string>();
  const http1 = results.get("http1");
  const latency = results.get("latency");
  for (const theme of themes) {
    if (http1 !== undefined) {
      files.set(`throughput-${theme.name}.svg`, drawBars(throughput(http1), theme));
      files.set(`cpu-${theme.name}.svg`, drawBars(cpu(http1), theme));
    }
    const byRate = latency === undefined ? null : latencies(latency);
    if (byRate !== null) files.set(`latency-${theme.name}.svg`, drawLines(byRate, theme));
  }
  return files;
}

/** Replaces what is in the folder. */
export function writeCharts(folder: string, files: ReadonlyMap<string, string>): void {
  rmSync(folder, { recursive: true, force: true });
  if (files.size > 0) mkdirSync(folder, { recursive: true });
  for (const [name, svg] of files) writeFileSync(join(folder, name), svg);
}

function cpu(kept: KeptRows): BarChart {
  return bars(kept, {
    title: "CPU for each request",
    subtitle:
      "Microseconds, all processes of the proxy; shorter is better. Thin lines: the range of the rounds",
    value: (row) => row.cpuUs / row.requests,
    best: "lowest",
  });
}

function throughput(kept: KeptRows): BarChart {
  return bars(kept, {
    title: "Requests a second on one core",
    subtitle:
      "One worker or thread each, pinned to one core; longer is better. Thin lines: the range of the rounds",
    value: (row) => (row.requests * 1e6) / row.elapsedUs,
    best: "highest",
  });
}

interface BarsOf {
  readonly title: string;
  readonly subtitle: string;
  readonly value: (row: Http1Row) => number;
  readonly best: "lowest" | "highest";
}

function bars({ facts, rows }: KeptRows, { title, subtitle, value, best }: BarsOf): BarChart {
  const good = (rows as Http1Row[]).filter(
    ({ variant, error }) => error === null && variant !== "direct" && !variant.includes(", "),
  );
  const panels = works.map((work) => {
    const mine = good.filter((row) => row.case === work.case);
    const names = [...new Set(mine.map(({ variant }) => variant))];
    const found = names.map((name) => {
      const values = mine.filter(({ variant }) => variant === name).map(value);
      return { name, ...spreadOf(values) };
    });
    return { title: work.title, bars: found };
  });
  const first = new Map(
    panels.flatMap((panel) => panel.bars).map(({ name, median: middle }) => [name, middle]),
  );
  for (const { name, median: middle } of panels[0]?.bars ?? []) first.set(name, middle);
  const order = best === "lowest" ? 1 : -1;
  const names = [...first.keys()].sort((a, b) => order * (first.get(a)! - first.get(b)!));
  const rounds = Math.max(...good.map(({ round }) => round));
  return {
    ...{ title, subtitle, names },
    panels: panels.filter((panel) => panel.bars.length > 0),
    caption: captionOf(facts, names, rounds),
  };
}

/** Null when no rates were measured. */
function latencies({ facts, rows }: KeptRows): LineChart | null {
  const measured = (rows as (LatencyRow | SaturationRow)[]).filter(
    (row): row is LatencyRow => row.kind === "latency" && row.share > 0 && row.requests > 0,
  );
  const names = [...new Set(measured.map(({ variant }) => variant))];
  const rates = [...new Set(measured.map(({ requestsPerSecond }) => requestsPerSecond))].sort(
    (a, b) => a - b,
  );
  if (rates.length < 2) return null;
  const panels = (["p50Us", "p99Us"] as const).map((quantile) => ({
    title: quantile === "p50Us" ? "median" : "99th percentile",
    lines: names.map((name) => ({
      name,
      points: rates.flatMap((rate) => {
        const mine = measured.filter((row) => row.variant === name && row.requestsPerSecond === rate);
        return mine.length === 0 ? [] : { rate, us: median(mine.map((row) => row[quantile])) };
      }),
    })),
  }));
  const rounds = Math.max(...measured.map(({ round }) => round));
  return {
    title: "Latency by rate",
    subtitle:
      "Small GETs, due at even distances whatever the answers take; lower is better, the scale is logarithmic",
    caption: captionOf(facts, names, rounds),
    panels,
  };
}

/** The machine and the commit, and the versions of those in the picture: no figure without them. */
function captionOf(
  { machine, versions, startedAt, commit }: Facts,
  names: readonly string[],
  rounds: number,
): readonly [string, string] {
  const short = (version: string) => version.replace(/[-+]\S+| on .*/g, "");
  const told = names.flatMap((name) => {
    const version = versions[name];
    return version === undefined ? [] : `${labelOf(name)} ${short(version)}`;
  });
  const where = `${machine.cpu}, ${machine.cores} cores, ${machine.kernel.replace(/-.*/, "")}`;
  const rest = `medians of ${rounds} rounds, ${startedAt.slice(0, 10)}, commit ${commit.slice(0, 7)}`;
  return [`${where}; ${rest}`, told.join(", ")];
}
