/**
 * A mesh of a thousand nodes and ten thousand instances on one coordinator with SQLite: how long a change takes to reach
 * those that use the service, what it costs on the wire, and what the coordinator holds.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CoordinatorAccess } from "../coordinator/node-connection.ts";
import { type NodeWords, SimulatedNode } from "../coordinator/simulated-node.ts";
import { Histogram } from "../histogram.ts";
import { repository } from "../machine.ts";
import { cpuBetween, proxyCores, readCpu, readMemory, start } from "../processes.ts";
import { figure, mebibytes } from "../table.ts";
import { makeFolder, removeFolder } from "../variants.ts";
import { type BenchOptions, chosenCases, type Report, type Workload } from "../workload.ts";

const renewEveryMs = 3000;
const startWaitMs = 30_000;
const joinWaitMs = 90_000;
const heardWaitMs = 10_000;
const joinsAtOnce = 20;
const restMs = 10_000;
const rssBytesMax = 300 * 2 ** 20;
const reachMsMax = 1000;
/** Of the feed for one instance that changed, on average: its JSON, and the two lines around it are 270 to 282. */
const deliveryBytesMax = 300;

interface Case {
  readonly name: string;
  readonly quick: boolean;
  readonly services: readonly string[];
  readonly nodes: readonly NodeWords[];
}

const names = Array.from({ length: 100 }, (_, index) => `service-${index}`);

/** Each service has ten nodes, and each node calls ten others: a service has 110 subscribers. */
const many: Case = {
  name: "100 services of 100 instances",
  quick: true,
  services: names,
  nodes: Array.from({ length: 1000 }, (_, index) => ({
    name: `n${index}`,
    service: names[index % 100]!,
    instances: 10,
    uses: Array.from({ length: 10 }, (_, use) => names[(index * 7 + use * 9 + 1) % 100]!),
  })),
};

/** The most that a service may have, used by everybody. */
const one: Case = {
  name: "one service of 10,000 instances",
  quick: false,
  services: ["hub", "caller"],
  nodes: Array.from({ length: 1000 }, (_, index) => ({
    name: `n${index}`,
    service: index < 100 ? "hub" : "caller",
    instances: index < 100 ? 100 : 0,
    uses: ["hub"],
  })),
};

export interface CoordinatorRow {
  readonly name: string;
  readonly nodes: number;
  readonly instances: number;
  /** Until all had registered and had their first snapshot. */
  readonly joinedSeconds: number;
  readonly changes: number;
  readonly deliveries: number;
  readonly missed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Of the feed, `changed` and `live`, for each delivery. */
  readonly deliveryBytes: number;
  /** Bytes of the feed to all nodes for one change of one instance. */
  readonly changeBytes: number;
  readonly joinedRssBytes: number;
  readonly rssBytes: number;
  /** Of one core, with all leases renewed every 3 s and nothing changing. */
  readonly restCpuShare: number;
  /** From the end of the coordinator's process until all nodes listen to the next one and have heard that they are up to date. */
  readonly restartSeconds: number;
  /** Of the feed, for each node, in that time. */
  readonly restartBytes: number;
  readonly refusals: number;
  /** Connections that broke between the last join and the restart. */
  readonly broken: number;
}

async function* run(options: BenchOptions): AsyncGenerator<CoordinatorRow, void, void> {
  const changes = options.size === "quick" ? 50 : 300;
  for (const chosen of chosenCases("coordinator", [many, one], options)) {
    options.say(`coordinator: ${chosen.name}`);
    yield await measure(chosen, changes);
  }
}

async function measure({ name, services, nodes: words }: Case, changes: number): Promise<CoordinatorRow> {
  const folder = makeFolder();
  const waiting = new Waiting();
  const nodes = words.map((one) => new SimulatedNode(one, (node, line) => waiting.heard(node, line)));
  const renewing: ReturnType<typeof setInterval>[] = [];
  let server = await startServer(folder, 0, services);
  try {
    const access = server.access;
    const startedAtMs = performance.now();
    await joinAll(nodes, access, renewing);
    await wait(() => nodes.every(({ live }) => live === "yes"), joinWaitMs, server.running.log);
    const joinedSeconds = (performance.now() - startedAtMs) / 1000;
    await sleep(1000);
    const { pid } = server.running;
    const joinedRssBytes = readMemory(pid).rssBytes;
    const brokenBefore = sum(nodes, (node) => node.broken);
    const fed = fedBytes(nodes);
    for (let change = 0; change < changes; change++) await changeOne(nodes, waiting, change);
    const changed = fedBytes(nodes) - fed;
    const [before, beforeMs] = [readCpu(pid), performance.now()];
    await sleep(restMs);
    const restCpuShare = cpuBetween(before, readCpu(pid)) / 1e6 / ((performance.now() - beforeMs) / 1000);
    const rssBytes = readMemory(pid).rssBytes;
    const broken = sum(nodes, (node) => node.broken) - brokenBefore;
    const heardBytes = sum(nodes, ({ bytes }) => bytes.first);
    const restartedAtMs = performance.now();
    for (const node of nodes) node.live = "no";
    await server.running.stop();
    server = await startServer(folder, access.port, services);
    await wait(() => nodes.every(({ live }) => live === "yes"), joinWaitMs, server.running.log);
    return {
      name,
      nodes: nodes.length,
      instances: sum(words, ({ instances }) => instances),
      joinedSeconds,
      changes,
      ...waiting.figures(),
      deliveryBytes: changed / waiting.deliveries,
      changeBytes: changed / changes,
      joinedRssBytes,
      rssBytes,
      restCpuShare,
      restartSeconds: (performance.now() - restartedAtMs) / 1000,
      restartBytes: (sum(nodes, ({ bytes }) => bytes.first) - heardBytes) / nodes.length,
      refusals: sum(nodes, ({ refusals }) => refusals),
      broken,
    };
  } finally {
    for (const timer of renewing) clearInterval(timer);
    for (const node of nodes) node.close();
    await server.running.stop();
    removeFolder(folder);
  }
}

async function startServer(folder: string, port: number, services: readonly string[]) {
  const file = join(folder, "ready.json");
  rmSync(file, { force: true });
  const script = join(repository, "bench/coordinator/server.ts");
  const command = ["bun", script, folder, String(port), ...services];
  const running = start({ name: "coordinator", command, cores: proxyCores, folder });
  await wait(() => existsSync(file), startWaitMs, running.log);
  return { running, access: JSON.parse(readFileSync(file, "utf8")) as Access };
}

function sum<One>(all: readonly One[], of: (one: One) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}

interface Access {
  readonly port: number;
  readonly roots: string;
  readonly credentials: Readonly<Record<string, Pick<CoordinatorAccess, "certificate" | "key">>>;
}

/** A few at a time, as machines that start together do. */
async function joinAll(
  nodes: readonly SimulatedNode[],
  { port, roots, credentials }: Access,
  renewing: ReturnType<typeof setInterval>[],
): Promise<void> {
  for (let first = 0; first < nodes.length; first += joinsAtOnce) {
    await Promise.all(
      nodes.slice(first, first + joinsAtOnce).map(async (node) => {
        await node.join({ port, roots, ...credentials[node.words.service]! });
        renewing.push(setInterval(() => node.renew(), renewEveryMs));
      }),
    );
  }
}

/** Who is to hear of the change under way, and how long it took them. */
class Waiting {
  readonly #latencies = new Histogram();
  readonly #left = new Set<SimulatedNode>();
  #words: readonly string[] = [];
  #startedAtMs = 0;
  deliveries = 0;
  #missed = 0;

  begin(nodes: readonly SimulatedNode[], words: string): void {
    this.#missed += this.#left.size;
    this.#left.clear();
    for (const node of nodes) this.#left.add(node);
    this.#words = words.split("|");
  }

  started(): void {
    this.#startedAtMs = performance.now();
  }

  get over(): boolean {
    return this.#left.size === 0;
  }

  heard(node: SimulatedNode, line: string): void {
    if (!this.#left.has(node) || !this.#words.every((word) => line.includes(word))) return;
    this.#left.delete(node);
    this.deliveries += 1;
    this.#latencies.add((performance.now() - this.#startedAtMs) * 1000);
  }

  figures() {
    return {
      deliveries: this.deliveries,
      missed: this.#missed + this.#left.size,
      p50Ms: this.#latencies.percentileUs(0.5) / 1000,
      p99Ms: this.#latencies.percentileUs(0.99) / 1000,
      maxMs: this.#latencies.maxUs / 1000,
    };
  }
}

async function changeOne(nodes: readonly SimulatedNode[], waiting: Waiting, change: number): Promise<void> {
  const holders = nodes.filter(({ words }) => words.instances > 0);
  // Every other change takes the one before back.
  const turn = change >> 1;
  const holder = holders[(turn * 37) % holders.length]!;
  const { service, instances } = holder.words;
  const users = nodes.filter(({ words }) => words.service === service || words.uses.includes(service));
  waiting.started();
  waiting.begin(users, holder.change(turn % instances));
  for (const endMs = performance.now() + heardWaitMs; !waiting.over && performance.now() < endMs; )
    await sleep(2);
}

function fedBytes(nodes: readonly SimulatedNode[]): number {
  return sum(nodes, ({ bytes }) => bytes.changed + bytes.live);
}

async function wait(holds: () => boolean, forMs: number, why: () => string): Promise<void> {
  for (const endMs = performance.now() + forMs; !holds(); await sleep(10)) {
    if (performance.now() > endMs)
      throw new Error(`the coordinator is not ready after ${forMs} ms: ${why()}`);
  }
}

function report(rows: readonly CoordinatorRow[]): Report {
  const lines = rows.map((row) => [
    row.name,
    figure(row.joinedSeconds),
    `${row.changes} to ${Math.round(row.deliveries / row.changes)} nodes`,
    [row.p50Ms, row.p99Ms, row.maxMs].map(figure).join(" / "),
    Math.round(row.deliveryBytes).toLocaleString("en"),
    Math.round(row.changeBytes).toLocaleString("en"),
    `${mebibytes(row.joinedRssBytes)} / ${mebibytes(row.rssBytes)}`,
    figure(row.restCpuShare * 100),
    `${figure(row.restartSeconds)}, ${Math.round(row.restartBytes).toLocaleString("en")}`,
  ]);
  const columns = [
    "mesh",
    "all joined s",
    "changes",
    "reached ms p50 / p99 / max",
    "feed: bytes of a change for each node",
    "bytes of a change for all nodes",
    "RSS MiB joined / at the end",
    "CPU % at rest",
    "restart: s until all listen, bytes for each node",
  ];
  const notes = [
    "1,000 nodes, each with a TLS connection for its lease (renewed every 3 s) and one for the feed; the nodes are one process, which shares the machine",
    "one instance's health changes at a time, and every other change takes the one before back; measured from the lease that says so to the line of the feed at each node",
    "bytes of a change: the line with the instance that changed and the line `live`, before TLS",
  ];
  const problems = rows.flatMap((row) => [
    ...(row.missed > 0 ? [`coordinator, ${row.name}: ${row.missed} nodes were not told`] : []),
    ...(row.refusals + row.broken > 0
      ? [`coordinator, ${row.name}: ${row.refusals} refusals, ${row.broken} broken connections`]
      : []),
    ...(row.p99Ms > reachMsMax ? [`coordinator, ${row.name}: p99 is over ${reachMsMax} ms`] : []),
    ...(row.deliveryBytes > deliveryBytesMax
      ? [
          `coordinator, ${row.name}: ${Math.round(row.deliveryBytes)} bytes for each node: more than the instance that changed`,
        ]
      : []),
    ...(row.rssBytes > rssBytesMax ? [`coordinator, ${row.name}: RSS is over 300 MiB`] : []),
  ]);
  return {
    tables: [{ title: "A coordinator with 10,000 instances", columns, rows: lines, notes }],
    problems,
  };
}

export const coordinator: Workload<CoordinatorRow> = {
  name: "coordinator",
  title: "a change that reaches a thousand nodes",
  run,
  report,
};
