import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { drawCharts } from "../../bench/charts/charts.ts";
import { ticksTo } from "../../bench/charts/picture.ts";
import { type Facts, repository } from "../../bench/machine.ts";
import { chartsFolder, figuresBlock, markers, withFigures } from "../../bench/readme.ts";
import { type KeptRows, newestRows } from "../../bench/results.ts";
import type { Http1Row } from "../../bench/workloads/http1.ts";
import type { LatencyRow } from "../../bench/workloads/latency-report.ts";

const facts: Facts = {
  kind: "facts",
  startedAt: "2026-11-23T10:20:30Z",
  machine: {
    cpu: "A <fast> processor",
    cores: 2,
    memory: "24 GiB",
    kernel: "Linux 6.1-x",
    loadAverage: 0.25,
  },
  versions: { Clearway: "0.1.0", Bun: "1.4.5", nginx: "1.22.1", "http-proxy-3": "2.0.1 on Node 22" },
  clearway: "dist/clearway",
  commit: "0123456789",
  state: "clean",
  command: "npm run bench",
};

function cost(variant: Http1Row["variant"], round: number, cpuUs: number): Http1Row {
  const load = { requests: 1_000, elapsedUs: 20_000, p50Us: 100, p99Us: 200, failed: 0, logShare: null };
  const shared = { case: "small, 64 connections", error: null, rssBytes: 1, pssBytes: 1 };
  return { ...shared, ...load, variant, round, cpuUs };
}

function delay(variant: LatencyRow["variant"], requestsPerSecond: number, p99Us: number): LatencyRow {
  const load = { requests: 10, failed: 0, unanswered: 0, example: null, maxUs: 9e3, lateP99Us: 1 };
  const share = requestsPerSecond / 20_000;
  const quantiles = { p50Us: 100, p90Us: 150, p99Us, p999Us: p99Us };
  return { kind: "latency", variant, round: 1, share, requestsPerSecond, ...load, ...quantiles };
}

const results: ReadonlyMap<string, KeptRows> = new Map([
  [
    "http1",
    {
      facts,
      rows: [1, 2, 3].flatMap((round) => [
        cost("nginx", round, 20_000 + round),
        cost("clearway", round, 21_000),
        cost("http-proxy-3", round, 90_000),
        cost("direct", round, 0),
      ]),
    },
  ],
  [
    "latency",
    {
      facts,
      rows: [
        ...[delay("nginx", 5_000, 300), delay("nginx", 10_000, 900)],
        ...[delay("clearway", 5_000, 400), delay("clearway", 10_000, 800)],
      ],
    },
  ],
]);

test("charts are the same each time, in light and dark, and say who was measured on what", () => {
  const files = drawCharts(results);
  expect([...files.keys()].sort()).toEqual(
    ["cpu", "latency", "throughput"].flatMap((name) => [`${name}-dark.svg`, `${name}-light.svg`]),
  );
  expect(drawCharts(results)).toEqual(files);
  const cpu = files.get("cpu-light.svg")!;
  for (const part of ["Clearway", "nginx 1.22.1", "A &lt;fast> processor, 2 cores", "commit 0123456"]) {
    expect(cpu).toContain(part);
  }
  expect(cpu).not.toMatch(/NaN|undefined|Infinity|no proxy/);
  expect(files.get("cpu-dark.svg")).not.toEqual(cpu);
  // The best is at the top, and the figures are the medians.
  const order = ["nginx", "Clearway", "http-proxy-3"].map((name) => cpu.indexOf(`>${name}</text>`));
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  for (const figure of ["20.0", "21.0", "90.0"]) expect(cpu).toContain(`>${figure}</text>`);
  expect(files.get("latency-light.svg")).toMatch(/polyline[^>]+points="[\d., ]+"/);
});

test("charts that have no rows are not drawn", () => {
  expect(drawCharts(new Map()).size).toBe(0);
  expect([...drawCharts(new Map([["latency", { facts, rows: [delay("nginx", 1, 1)] }]])).keys()]).toEqual([]);
});

test("ticks are round and reach the most", () => {
  expect(ticksTo(93, 4)).toEqual([0, 25, 50, 75, 100]);
  expect(ticksTo(55_306, 4)).toEqual([0, 20_000, 40_000, 60_000]);
});

test("figures go between the markers, and nowhere else", () => {
  const block = figuresBlock(results, new Set(["cpu-light.svg"]));
  expect(block).toContain("| small GET | 50,000, 21.0 us | 50,000, 20.0 us | 1.05 (1.05..1.05) |");
  expect(block).toContain(`srcset="${chartsFolder}/cpu-dark.svg"`);
  const text = `before\n${markers.begin}\nold\n${markers.end}\nafter\n`;
  const filled = withFigures(text, block);
  expect(filled).not.toContain("old");
  expect(filled.startsWith("before\n") && filled.endsWith(`${markers.end}\nafter\n`)).toBe(true);
  expect(withFigures(filled, block)).toBe(filled);
  expect(() => withFigures("no markers", block)).toThrow("has not the two lines");
  expect(() => figuresBlock(new Map(), new Set())).toThrow("wanted a full run");
});

test("README's figures and charts are those of the newest results", () => {
  const newest = newestRows(join(repository, "bench", "results"));
  const charts = drawCharts(newest);
  const readme = readFileSync(join(repository, "README.md"), "utf8");
  // Otherwise: npm run bench -- charts
  expect(readme).toBe(withFigures(readme, figuresBlock(newest, new Set(charts.keys()))));
  const folder = join(repository, chartsFolder);
  expect(readdirSync(folder).sort()).toEqual([...charts.keys()].sort());
  for (const [name, svg] of charts) expect(readFileSync(join(folder, name), "utf8")).toBe(svg);
});
