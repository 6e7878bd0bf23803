/** What an idle keep-alive connection costs in memory, and what happens to the one beyond the limit. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { checkWork } from "../check.ts";
import { IdleConnections } from "../idle-connections.ts";
import { failureText } from "../machine.ts";
import { type Memory, proxyCores, readMemory } from "../processes.ts";
import { median } from "../statistics.ts";
import { figure } from "../table.ts";
import {
  clearway,
  makeFolder,
  nginx,
  peerVariants,
  removeFolder,
  type Subject,
  smallBody,
  startBackend,
  startSubject,
  stopSubject,
  type Variant,
  type VariantName,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, type Report, roundsOf, type Workload } from "../workload.ts";
import { runWrk } from "../wrk.ts";

/** Clearway's limit, too. */
const many = 10_000;
const kibibytesMax = 12;
const path = "/small";
/** Load before the first reading, so that what any load leaves behind is there. */
const warm = { connections: 64, seconds: 3 };
/** Before each reading, so that what is collected later is collected. */
const restMs = 3_000;
/** Sockets of this program and of a proxy, with room for what else they have open. */
const filesMin = many + 500;

export interface ConnectionsRow {
  readonly variant: VariantName;
  readonly round: number;
  /** Growth for each connection, over all processes of the proxy: RSS and Pss, after one request and after two. */
  readonly first: Memory;
  readonly second: Memory;
  readonly closedByPeer: number;
  /** `x-clearway-reason` of what one more connection was told; null for a peer. */
  readonly oneMore: string | null;
  /** Only where it did not do the work: then the figures are none. */
  readonly error?: string;
}

async function* run(options: BenchOptions): AsyncGenerator<ConnectionsRow, void, void> {
  checkOpenFiles();
  const peers =
    options.size === "quick" ? [nginx] : peerVariants.filter(({ name }) => options.peers.has(name));
  const variants = [...peers, clearway(options.clearway.command, "clearway")].map(withAllFiles);
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    for (const round of roundsOf(options, { full: 3, quick: 1 })) {
      for (const variant of round % 2 === 1 ? variants : variants.toReversed()) {
        options.say(`connections: round ${round}, ${variant.name}`);
        yield { variant: variant.name, round, ...(await measured(variant, backend.port)) };
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

/** One that cannot serve so many does not end the others' turn. */
async function measured(
  variant: Variant,
  backendPort: number,
): Promise<Omit<ConnectionsRow, "variant" | "round">> {
  try {
    return await measure(variant, backendPort);
  } catch (error) {
    const none = { rssBytes: 0, pssBytes: 0 };
    const told = { closedByPeer: 0, oneMore: null, error: failureText(error as Error) };
    return { first: none, second: none, ...told };
  }
}

async function measure(variant: Variant, backendPort: number) {
  const values = { workerConnections: 2 * many };
  const subject = await startSubject(variant, { backendPort, cores: proxyCores, values });
  const url = `http://127.0.0.1:${subject.port}${path}`;
  const wanted = { status: 200, body: smallBody };
  const idle = new IdleConnections({ port: subject.port, path, connections: many, wanted });
  try {
    await waitForAnswer(url, subject.running);
    await checkWork(variant, subject, { path, uploadBytes: 0 });
    await runWrk({ url, ...warm, uploadBytes: 0 });
    const before = await read(subject);
    await idle.open();
    const first = growth(before, await read(subject));
    const oneMore = variant.name === "clearway" ? await reasonOfOneMore(url) : null;
    await idle.request();
    const second = growth(before, await read(subject));
    return { first, second, closedByPeer: idle.closed, oneMore };
  } finally {
    idle.close();
    await stopSubject(subject);
  }
}

async function read(subject: Subject): Promise<Memory> {
  await sleep(restMs);
  return readMemory(subject.running!.pid);
}

/** For each connection. */
function growth(before: Memory, after: Memory): Memory {
  return {
    rssBytes: (after.rssBytes - before.rssBytes) / many,
    pssBytes: (after.pssBytes - before.pssBytes) / many,
  };
}

async function reasonOfOneMore(url: string): Promise<string> {
  const answer = await fetch(url, { keepalive: false });
  await answer.arrayBuffer();
  return answer.headers.get("x-clearway-reason") ?? `status ${answer.status}`;
}

/** As many open files as the system allows: what a service manager would set. */
function withAllFiles(variant: Variant): Variant {
  const script = 'ulimit -S -n "$(ulimit -H -n)" && exec "$@"';
  const command: Variant["command"] = (config, folder) => [
    "sh",
    "-c",
    script,
    "sh",
    ...variant.command(config, folder),
  ];
  return { ...variant, command };
}

function checkOpenFiles(): void {
  const found = /^Max open files +(\d+) +(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
  const [soft, hard] = [Number(found?.[1]), Number(found?.[2])];
  if (Math.min(soft, hard) >= filesMin) return;
  throw new Error(
    `cannot open ${many} connections: the limits on open files are ${soft} and ${hard}, wanted ${filesMin} (ulimit -n)`,
  );
}

function report(all: readonly ConnectionsRow[]): Report {
  const rows = all.filter(({ error }) => error === undefined);
  const variants = [...new Set(rows.map((row) => row.variant))];
  const lines = variants.map((variant) => {
    const mine = rows.filter((row) => row.variant === variant);
    const middle = (of: (row: ConnectionsRow) => number) => median(mine.map(of)) / 1024;
    const largest =
      Math.max(...mine.flatMap(({ first, second }) => [first.rssBytes, second.rssBytes])) / 1024;
    return [
      variant,
      figure(middle(({ first }) => first.rssBytes)),
      figure(middle(({ first }) => first.pssBytes)),
      figure(middle(({ second }) => second.rssBytes)),
      figure(middle(({ second }) => second.pssBytes)),
      variant === "clearway" ? `${largest <= kibibytesMax ? "within" : "over"} ${kibibytesMax} KiB` : "",
      String(mine.reduce((sum, row) => sum + row.closedByPeer, 0)),
      mine[0]!.oneMore ?? "",
    ];
  });
  const columns = [
    "proxy",
    "RSS KiB",
    "Pss KiB",
    "RSS KiB, 2nd",
    "Pss KiB, 2nd",
    "verdict",
    "closed",
    "one more",
  ];
  const rounds = Math.max(0, ...rows.map((row) => row.round));
  const notes = [
    `growth of all processes by ${many.toLocaleString("en")} idle keep-alive connections for each of them, ${restMs / 1000} s after their first and their second request; medians of ${rounds} rounds, the verdict is on the largest`,
    "nginx makes the table of its connections when it starts: that part of their cost is not in here",
    "what the kernel holds for a socket is not counted; one more: what the connection beyond the limit is told",
  ];
  return {
    tables: [{ title: "Idle connections", columns, rows: lines, notes }],
    problems: all.flatMap(problemsOf),
  };
}

function problemsOf({ variant, round, closedByPeer, oneMore, error }: ConnectionsRow): string[] {
  const where = `connections: round ${round}, ${variant}`;
  return [
    ...(error === undefined ? [] : [`${where}: ${error}`]),
    ...(closedByPeer > 0 ? [`${where}: ${closedByPeer} were closed`] : []),
    ...(oneMore !== null && oneMore !== "too-many-connections" ? [`${where}: one more got ${oneMore}`] : []),
  ];
}

export const connections: Workload<ConnectionsRow> = {
  name: "connections",
  title: "memory of idle connections",
  run,
  report,
};
