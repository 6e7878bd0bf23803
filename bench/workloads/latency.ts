/** Latencies at fixed rates, the same for all: parts of what the fastest peer can answer at most. */
import { checkWork } from "../check.ts";
import { runFixedRate } from "../fixed-rate.ts";
import { failureText } from "../machine.ts";
import type { PeerName } from "../peers.ts";
import { proxyCores } from "../processes.ts";
import { median } from "../statistics.ts";
import {
  clearway,
  direct,
  makeFolder,
  peerVariants,
  removeFolder,
  type Subject,
  smallBody,
  startBackend,
  startSubject,
  stopSubject,
  type Variant,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, roundsOf, type Workload } from "../workload.ts";
import { runWrk } from "../wrk.ts";
import { connections, type LatencyRow, report, type SaturationRow } from "./latency-report.ts";

const path = "/small";
const rowsOf: Readonly<Record<BenchOptions["size"], ReadonlySet<PeerName>>> = {
  full: new Set(["nginx", "haproxy", "envoy"]),
  quick: new Set(["nginx", "haproxy"]),
};
/** Of the fastest peer's rate at saturation. */
const shares = { full: [0.1, 0.25, 0.5, 0.75, 0.9], quick: [0.5] };
const saturationRounds = { full: 3, quick: 1 };
const warmSeconds = { full: 2, quick: 1 };
const secondsWanted = { full: 3, quick: 1 };

async function* run(options: BenchOptions): AsyncGenerator<LatencyRow | SaturationRow, void, void> {
  const peers = peerVariants.filter(({ name }) => rowsOf[options.size].has(name) && options.peers.has(name));
  const own = clearway(options.clearway.command, "clearway");
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    const found: SaturationRow[] = [];
    for (let round = 1; round <= saturationRounds[options.size]; round++) {
      for (const variant of round % 2 === 1 ? peers : peers.toReversed()) {
        options.say(`latency: what ${variant.name} can answer, round ${round}`);
        const row = await saturation(variant, { options, round, backendPort: backend.port });
        found.push(row);
        yield row;
      }
    }
    const best = Math.max(...peers.map(({ name }) => rateOf(found, name)));
    const variants = options.size === "quick" ? [...peers, own] : [direct, ...peers, own];
    for (const round of roundsOf(options, { full: 9, quick: 1 })) {
      for (const variant of round % 2 === 1 ? variants : variants.toReversed()) {
        options.say(`latency: round ${round}, ${variant.name}`);
        yield* measure(variant, { options, round, backendPort: backend.port, best });
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

function rateOf(rows: readonly SaturationRow[], name: string): number {
  return median(rows.filter(({ variant }) => variant === name).map((row) => row.requestsPerSecond));
}

interface Round {
  readonly options: BenchOptions;
  readonly round: number;
  readonly backendPort: number;
}

async function saturation(variant: Variant, { options, round, backendPort }: Round): Promise<SaturationRow> {
  const subject = await started(variant, backendPort);
  try {
    const load = { url: `${subject.origin}${path}`, connections, uploadBytes: 0 };
    await runWrk({ ...load, seconds: 1 });
    const { requests, elapsedUs } = await runWrk({ ...load, seconds: secondsWanted[options.size] });
    const requestsPerSecond = (requests * 1e6) / elapsedUs;
    return { kind: "saturation", variant: variant.name, round, requestsPerSecond };
  } finally {
    await stopSubject(subject);
  }
}

async function started(variant: Variant, backendPort: number): Promise<Subject> {
  const subject = await startSubject(variant, { backendPort, cores: proxyCores });
  await waitForAnswer(`${subject.origin}${path}`, subject.running);
  await checkWork(variant, subject, { path, uploadBytes: 0 });
  return subject;
}

/** One fresh process for all rates, from the lowest to the highest. */
async function* measure(
  variant: Variant,
  { options, round, backendPort, best }: Round & { best: number },
): AsyncGenerator<LatencyRow, void, void> {
  const row = { kind: "latency", variant: variant.name, round } as const;
  const subject = await started(variant, backendPort);
  try {
    // Code that runs for the first time is slow, and an open loop would carry that queue along.
    const warm = { url: `${subject.origin}${path}`, connections, uploadBytes: 0 };
    await runWrk({ ...warm, seconds: warmSeconds[options.size] });
    for (const share of shares[options.size]) {
      const requestsPerSecond = Math.round(best * share);
      const seconds = options.seconds ?? secondsWanted[options.size];
      const load = { port: subject.port, path, connections, requestsPerSecond };
      const result = await runFixedRate({
        ...load,
        ...{ warmSeconds: 1, seconds, bodyBytes: smallBody.length },
      });
      yield { ...row, share, requestsPerSecond, ...result };
    }
  } catch (error) {
    yield { ...row, share: 0, requestsPerSecond: 0, ...nothing, example: failureText(error as Error) };
  } finally {
    await stopSubject(subject);
  }
}

const nothing = {
  ...{
    requests: 0,
    failed: 1,
    unanswered: 0,
    p50Us: 0,
    p90Us: 0,
    p99Us: 0,
    p999Us: 0,
    maxUs: 0,
    lateP99Us: 0,
  },
};

export const latency: Workload<LatencyRow | SaturationRow> = {
  ...{ name: "latency", title: "latencies at fixed rates", quickSeconds: 14 },
  run,
  report,
};
