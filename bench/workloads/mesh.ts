/** A hop of a mesh: caller, node, mTLS, node, service. CPU of both nodes for each request, how many a second, how long. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkWork } from "../check.ts";
import { runFixedRate } from "../fixed-rate.ts";
import { failureText } from "../machine.ts";
import { checkMutualTls, configured, makeMeshCertificates, type Pair, type PairKind } from "../node-pairs.ts";
import { type CpuReading, cpuBetween, readCpu, readMemory } from "../processes.ts";
import { sidecars } from "../sidecar-pairs.ts";
import {
  clearway,
  envoy,
  makeFolder,
  nginx,
  removeFolder,
  smallBody,
  startBackend,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, chosenCases, roundsOf, type Workload } from "../workload.ts";
import { runWrk } from "../wrk.ts";
import { type MeshRow, nothing, report, smallMeshCase } from "./mesh-report.ts";

/** Before the figures count: code that runs for the first time is slow, and a busy machine serves few requests a second. */
const warmRequests = 40_000;
const warmSecondsMax = { full: 6, quick: 1 };
/** Of what nginx's pair answers at saturation. */
const rateShare = 0.5;
const saturationSeconds = 2;

interface Case {
  readonly name: string;
  readonly path: string;
  readonly uploadBytes: number;
  readonly connections: number;
  readonly load: "saturation" | "fixed rate";
  readonly quick: boolean;
}

const small = { path: "/small", uploadBytes: 0, load: "saturation" } as const;

const cases: readonly Case[] = [
  { ...small, name: smallMeshCase, connections: 64, quick: true },
  { ...small, name: "small, 8 connections", connections: 8, quick: false },
  { ...small, name: "small, 1 connection", connections: 1, quick: false },
  { ...small, name: "64 KiB down", path: "/bytes/64k", connections: 64, quick: false },
  { ...small, name: "POST of 1 KiB", path: "/upload", uploadBytes: 1024, connections: 64, quick: false },
  { ...small, name: "small, at a fixed rate", connections: 64, load: "fixed rate", quick: false },
];

function pairsOf({ peers, size, clearway: { command } }: BenchOptions): PairKind[] {
  const ofEnvoy = { outbound: "envoy-outbound.yaml", inbound: "envoy-inbound.yaml" };
  const speaking = (protocol: "http" | "http2", alpn: string) => ({
    ...ofEnvoy,
    values: { protocol: `${protocol}_protocol_options`, alpn },
  });
  const ofNginx = { outbound: "nginx-outbound.conf", inbound: "nginx-inbound.conf", values: {} };
  const own = { outbound: "clearway-outbound.yaml", inbound: "clearway-inbound.yaml", values: {} };
  const pairs = [configured("nginx", nginx, ofNginx)];
  if (size === "full" && peers.has("envoy")) {
    pairs.push(configured("envoy", envoy, speaking("http", "http/1.1")));
    pairs.push(configured("envoy, HTTP/2", envoy, speaking("http2", "h2")));
  }
  pairs.push(configured("clearway", clearway(command, "clearway"), own));
  if (size === "full") pairs.push(sidecars(command));
  return pairs;
}

interface Measurement {
  readonly work: Case;
  readonly kind: PairKind;
  readonly round: number;
  readonly backendPort: number;
  readonly certificates: string;
  readonly options: BenchOptions;
  /** Null at saturation. */
  readonly requestsPerSecond: number | null;
}

async function* run(options: BenchOptions): AsyncGenerator<MeshRow, void, void> {
  const chosen = chosenCases("mesh", cases, options);
  const folder = makeFolder();
  const backend = await startBackend(folder);
  const certificates = await makeMeshCertificates();
  const shared = { backendPort: backend.port, certificates, options };
  try {
    const pairs = pairsOf(options);
    const hasRate = chosen.some(({ load }) => load === "fixed rate");
    const rate = hasRate ? rateShare * (await saturationOf(pairs[0]!, shared)) : 0;
    for (const round of roundsOf(options, { full: 9, quick: 1 })) {
      for (const work of chosen) {
        for (const kind of round % 2 === 1 ? pairs : pairs.toReversed()) {
          options.say(`mesh: round ${round}: ${work.name}: ${kind.name}`);
          const requestsPerSecond = work.load === "fixed rate" ? Math.round(rate) : null;
          yield await measure({ ...shared, work, kind, round, requestsPerSecond });
        }
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
    removeFolder(certificates);
  }
}

type Shared = Pick<Measurement, "backendPort" | "certificates" | "options">;

/** Requests a second. */
async function saturationOf(kind: PairKind, shared: Shared): Promise<number> {
  shared.options.say(`mesh: what the pair of ${kind.name} can answer`);
  const pair = await kind.start(shared);
  try {
    const asked = { url: `${pair.outbound.origin}/small`, connections: 64, uploadBytes: 0 };
    await runWrk({ ...asked, seconds: 1 });
    const { requests, elapsedUs } = await runWrk({ ...asked, seconds: saturationSeconds });
    return (requests * 1e6) / elapsedUs;
  } finally {
    await pair.stop();
  }
}

async function measure(measurement: Measurement): Promise<MeshRow> {
  const { work, kind, round, certificates } = measurement;
  const row = { case: work.name, variant: kind.name, round };
  try {
    const pair = await kind.start(measurement);
    try {
      await waitForAnswer(`${pair.outbound.origin}/small`, pair.outbound.running);
      await checkWork(kind.program, pair.outbound, { ...work, proxies: kind.told });
      const read = (name: string) => readFileSync(join(certificates, name), "utf8");
      const keys = { certificate: read("caller.pem"), key: read("caller.key") };
      const agreed = await checkMutualTls(pair, kind.name === "clearway, sidecars" ? null : keys);
      return { ...row, error: null, agreed, ...(await load(measurement, pair)) };
    } finally {
      await pair.stop();
    }
  } catch (error) {
    return { ...row, ...nothing, error: failureText(error as Error) };
  }
}

async function load({ work, options, requestsPerSecond }: Measurement, pair: Pair) {
  const seconds = options.seconds ?? (options.size === "quick" ? 1 : 4);
  const { path, connections, uploadBytes } = work;
  const asked = { url: `${pair.outbound.origin}${path}`, connections, uploadBytes };
  let warmed = 0;
  for (let second = 0; second < warmSecondsMax[options.size] && warmed < warmRequests; second++) {
    warmed += (await runWrk({ ...asked, seconds: 1 })).requests;
  }
  const before = pair.pids.map(readCpu);
  const figures =
    requestsPerSecond === null
      ? await runWrk({ ...asked, seconds })
      : await atRate({ port: pair.outbound.port, path, connections, requestsPerSecond, seconds });
  const cpuUs = sumOfCpu(before, pair.pids.map(readCpu));
  return { ...figures, cpuUs, requestsPerSecond, ...memoryOf(pair) };
}

function sumOfCpu(before: readonly CpuReading[], after: readonly CpuReading[]): number {
  return after.reduce((sum, reading, index) => sum + cpuBetween(before[index]!, reading), 0);
}

function memoryOf({ pids }: Pair) {
  const read = pids.map(readMemory);
  return {
    rssBytes: read.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
    pssBytes: read.reduce((sum, { pssBytes }) => sum + pssBytes, 0),
  };
}

interface Rate {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly seconds: number;
}

/** The pair is warm, and all of its CPU is of requests that count: the load has no warm-up of its own. */
async function atRate(rate: Rate) {
  const result = await runFixedRate({ ...rate, warmSeconds: 0, bodyBytes: smallBody.length });
  const { requests, failed, unanswered, p50Us, p99Us } = result;
  const elapsedUs = rate.seconds * 1e6;
  return { requests, elapsedUs, bytes: 0, p50Us, p99Us, failed: failed + unanswered };
}

export const mesh: Workload<MeshRow> = {
  ...{ name: "mesh", title: "two nodes with mTLS between them", quickSeconds: 9 },
  run,
  report,
};
