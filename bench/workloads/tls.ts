/** Requests over TLS 1.3 towards callers: CPU for each on kept connections, and with a handshake for each. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { Authority } from "../../test/certificates.ts";
import { checkWork } from "../check.ts";
import { failureText } from "../machine.ts";
import { cpuBetween, type Memory, proxyCores, readCpu, readMemory } from "../processes.ts";
import { median, pairedRatio, verdictOf } from "../statistics.ts";
import { figure, mebibytes, percent } from "../table.ts";
import {
  clearway,
  makeFolder,
  nginx,
  peerVariants,
  removeFolder,
  type Subject,
  startBackend,
  startSubject,
  stopSubject,
  type Variant,
  type VariantName,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, chosenCases, type Report, roundsOf, type Workload } from "../workload.ts";
import { runWrk, type WrkResult } from "../wrk.ts";

/** Of all rows: what nginx and BoringSSL both choose from what wrk offers may differ. */
const cipher = "TLS_AES_128_GCM_SHA256";

/** Before the figures count: code that runs for the first time is slow, and a busy machine serves few requests a second. */
const warmRequests = 20_000;
const warmSecondsMax = { full: 6, quick: 1 };

interface Case {
  readonly name: string;
  readonly path: string;
  readonly connections: number;
  readonly connection?: "close";
  /** At most this many times nginx's CPU for each request. */
  readonly margin: number;
  readonly quick: boolean;
}

/** Who has a row, and its file in peers/. */
const templates: Readonly<Partial<Record<VariantName, string>>> = {
  nginx: "nginx-tls.conf",
  haproxy: "haproxy-tls.cfg",
  caddy: "caddy-tls.caddyfile",
  envoy: "envoy-tls.yaml",
  clearway: "clearway-tls.yaml",
};

const cases: readonly Case[] = [
  { name: "small, kept, 64 connections", path: "/small", connections: 64, margin: 1, quick: true },
  { name: "64 KiB down, kept, 64 connections", path: "/bytes/64k", connections: 64, margin: 1, quick: false },
  {
    ...{ name: "a handshake for each, 16 callers", path: "/small", connections: 16 },
    ...{ connection: "close", margin: 1.2, quick: false },
  },
];

export interface TlsRow extends WrkResult, Memory {
  readonly case: string;
  readonly variant: VariantName;
  readonly round: number;
  /** Null when it did the work; then the figures count. */
  readonly error: string | null;
  /** What a handshake agreed on: version and cipher. */
  readonly agreed: string;
  /** Of all processes of the proxy. */
  readonly cpuUs: number;
}

const nothing = { requests: 0, elapsedUs: 0, bytes: 0, p50Us: 0, p99Us: 0, failed: 0, cpuUs: 0 } as const;

async function* run(options: BenchOptions): AsyncGenerator<TlsRow, void, void> {
  const chosen = chosenCases("tls", cases, options);
  const folder = makeFolder();
  const backend = await startBackend(folder);
  const certificates = await makeCertificates();
  try {
    for (const round of roundsOf(options, { full: 9, quick: 1 })) {
      for (const work of chosen) {
        const variants = variantsOf(options);
        for (const variant of round % 2 === 1 ? variants : variants.toReversed()) {
          options.say(`tls: round ${round}: ${work.name}: ${variant.name}`);
          yield await measure({ work, variant, round, backendPort: backend.port, certificates, options });
        }
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
    removeFolder(certificates);
  }
}

function variantsOf({ peers, size, clearway: { command } }: BenchOptions): Variant[] {
  const chosen = peerVariants.filter(({ name }) => peers.has(name) && templates[name] !== undefined);
  const own = clearway(command, "clearway");
  return size === "quick" ? [nginx, own] : [...chosen, own];
}

/** The folder of a certificate and its key, both P-256. */
async function makeCertificates(): Promise<string> {
  const folder = makeFolder();
  const { certificate, key } = await (await Authority.make()).issue({ names: ["bench.example"] });
  writeFileSync(join(folder, "cert.pem"), certificate);
  writeFileSync(join(folder, "key.pem"), key);
  // As HAProxy wants them.
  writeFileSync(join(folder, "both.pem"), `${certificate}${key}`);
  return folder;
}

interface Measurement {
  readonly work: Case;
  readonly variant: Variant;
  readonly round: number;
  readonly backendPort: number;
  readonly certificates: string;
  readonly options: BenchOptions;
}

async function measure(measurement: Measurement): Promise<TlsRow> {
  const { work, variant, round, backendPort, certificates } = measurement;
  const row = { case: work.name, variant: variant.name, round };
  const template = templates[variant.name]!;
  const started = { backendPort, cores: proxyCores, template, scheme: "https" } as const;
  try {
    const subject = await startSubject(variant, { ...started, values: { certificates, cipher } });
    try {
      await waitForAnswer(`${subject.origin}/small`, subject.running);
      await checkWork(variant, subject, { path: work.path, uploadBytes: 0 });
      const agreed = await handshake(subject.port);
      return { ...row, error: null, agreed, ...(await load(measurement, subject)) };
    } finally {
      await stopSubject(subject);
    }
  } catch (error) {
    const told = { agreed: "", error: failureText(error as Error) };
    return { ...row, ...nothing, rssBytes: 0, pssBytes: 0, ...told };
  }
}

function handshake(port: number): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
      socket.destroy();
    });
  });
}

async function load({ work, options }: Measurement, subject: Subject) {
  const seconds = options.seconds ?? (options.size === "quick" ? 1 : 4);
  const { path, connections, connection } = work;
  const asked = { url: `${subject.origin}${path}`, connections, uploadBytes: 0 };
  const how = connection === undefined ? {} : { connection };
  const { pid } = subject.running!;
  let warmed = 0;
  for (let second = 0; second < warmSecondsMax[options.size] && warmed < warmRequests; second++) {
    warmed += (await runWrk({ ...asked, ...how, seconds: 1 })).requests;
  }
  const before = readCpu(pid);
  const figures = await runWrk({ ...asked, ...how, seconds });
  return { ...figures, cpuUs: cpuBetween(before, readCpu(pid)), ...readMemory(pid) };
}

const columns = [
  ...["work", "proxy", "requests/s", "CPU us/request", "of nginx", "rounds", "verdict"],
  ...["p50 us", "p99 us", "RSS MiB", "core"],
];

function report(rows: readonly TlsRow[]): Report {
  const lines: string[][] = [];
  const problems: string[] = [];
  for (const work of cases) {
    const ofCase = rows.filter((row) => row.case === work.name);
    for (const variant of new Set(ofCase.map((row) => row.variant))) {
      lines.push(
        lineOf(
          work,
          variant,
          ofCase.filter((row) => row.error === null),
        ),
      );
    }
    for (const { variant, round, error, failed, requests } of ofCase) {
      if (error === null && failed === 0) continue;
      const what = error ?? `${failed} requests failed of ${requests}`;
      problems.push(`${work.name}: ${variant}: round ${round}: ${what}`);
    }
  }
  const agreed = new Set(rows.flatMap((row) => (row.error === null ? row.agreed : [])));
  if (agreed.size > 1) problems.push(`the rows cannot be compared: ${[...agreed].join(", ")}`);
  const rounds = Math.max(0, ...rows.map((row) => row.round));
  const notes = [
    `${[...agreed].join(", ")}, a certificate of P-256; the service is spoken to without TLS`,
    "medians of all rounds; of nginx: the CPU per request over nginx's of the same round, its median and its range",
    "a handshake for each: a new connection, a full handshake, one small request, its answer, and the end",
    "CPU and RSS are sums over all processes of the proxy; core: how busy it kept its one core",
  ];
  return { tables: [{ title: `TLS, rounds: ${rounds}`, columns, rows: lines, notes }], problems };
}

function lineOf(work: Case, variant: VariantName, rows: readonly TlsRow[]): string[] {
  const mine = rows.filter((row) => row.variant === variant);
  const middle = (read: (row: TlsRow) => number) => median(mine.map(read));
  const cpu = (of: VariantName) =>
    new Map(rows.filter((row) => row.variant === of).map((row) => [row.round, row.cpuUs / row.requests]));
  const ratio = variant === "nginx" ? null : pairedRatio(cpu(variant), cpu("nginx"));
  return [
    work.name,
    variant,
    figure(middle((row) => (row.requests * 1e6) / row.elapsedUs)),
    figure(middle((row) => row.cpuUs / row.requests)),
    ...(ratio === null
      ? ["-", "-", ""]
      : [
          ratio.median.toFixed(2),
          `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`,
          `${verdictOf(ratio, work.margin)} ${work.margin}`,
        ]),
    figure(middle((row) => row.p50Us)),
    figure(middle((row) => row.p99Us)),
    mebibytes(middle((row) => row.rssBytes)),
    percent(middle((row) => row.cpuUs / row.elapsedUs)),
  ];
}

export const tls: Workload<TlsRow> = {
  ...{ name: "tls", title: "requests over TLS", quickSeconds: 10 },
  run,
  report,
};
