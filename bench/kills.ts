/** Workers killed under load, one after the other, and what each kill cost: which requests failed, on whose connections. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { WantedAnswer } from "./answer.ts";
import { type LostConnection, startLoad } from "./load.ts";

export interface KillOptions {
  /** Where the node serves, and its admin. */
  readonly port: number;
  readonly adminPort: number;
  readonly path: string;
  readonly wanted: WantedAnswer;
  /** Keep-alive; each asks again as soon as it is answered. */
  readonly connections: number;
  readonly kills: number;
  /** From one kill to the next. */
  readonly periodMs: number;
}

export interface KillRow {
  readonly worker: number;
  /** Callers' connections that the worker had. */
  readonly connections: number;
  /** Of those: lost with a request on them, and without. */
  readonly failed: number;
  readonly idle: number;
  /** Lost ones that no worker had accepted yet. */
  readonly waiting: number;
  /** Connections of other workers, and new ones, that were lost or refused. */
  readonly foreign: number;
  /** Until another process served as this worker. */
  readonly replacedMs: number;
  /** Requests that succeeded since the kill before. */
  readonly succeeded: number;
}

interface Worker {
  readonly number: number;
  readonly pid: number | null;
  readonly state: string;
}

/** A stopped worker accepts nothing any more: after this the others have accepted what was theirs. */
const settleMs = 30;
const pollMs = 10;
const replacedMsMax = 30_000;

/** Yields a row for each kill, when its successor serves and the period is over. */
export async function* killWorkers(options: KillOptions): AsyncGenerator<KillRow, void, void> {
  const { port, path, wanted, connections, kills, periodMs } = options;
  const lost: LostConnection[] = [];
  const onLost = (one: LostConnection) => void lost.push(one);
  const load = startLoad({ port, path, wanted, connections, requestsPerSecond: null, onLost });
  try {
    await sleep(periodMs);
    let [succeeded, last] = [0, 0];
    for (let kill = 0; kill < kills; kill++) {
      const untilMs = performance.now() + periodMs;
      const worker = nextOf(await serving(options), last);
      last = worker.number;
      const { pid } = worker as { pid: number };
      process.kill(pid, "SIGSTOP");
      await sleep(settleMs);
      const callers = callersOf(pid, port);
      const killedAtMs = performance.now();
      process.kill(pid, "SIGKILL");
      const replacedMs = await replaced(options, worker, killedAtMs);
      await sleep(Math.max(0, untilMs - performance.now()));
      const all = lost.splice(0);
      const among = (ports: ReadonlySet<number>) =>
        all.filter((one) => one.port !== null && ports.has(one.port));
      const mine = among(callers.accepted);
      const waiting = among(callers.waiting).length;
      const total = load.result().succeeded;
      yield {
        worker: worker.number,
        connections: callers.accepted.size,
        failed: mine.filter(({ failure }) => failure !== null).length,
        idle: mine.filter(({ failure }) => failure === null).length,
        waiting,
        foreign: all.length - mine.length - waiting,
        replacedMs,
        succeeded: total - succeeded,
      };
      succeeded = total;
    }
  } finally {
    await load.stop();
  }
}

/** Each has its turn. */
function nextOf(workers: readonly Worker[], last: number): Worker {
  const next = workers.find(({ number }) => number > last) ?? workers[0];
  if (next === undefined) throw new Error("no worker serves: wanted one to kill");
  return next;
}

async function serving({ adminPort }: KillOptions): Promise<readonly Worker[]> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/snapshot`);
  const { workers } = (await answer.json()) as { workers: readonly Worker[] };
  return workers.filter(({ state }) => state === "serving");
}

async function replaced(options: KillOptions, { number, pid }: Worker, sinceMs: number): Promise<number> {
  for (;;) {
    const passedMs = performance.now() - sinceMs;
    const successor = (await serving(options)).find((one) => one.number === number);
    if (successor !== undefined && successor.pid !== pid) return passedMs;
    if (passedMs > replacedMsMax)
      throw new Error(`worker ${number} was not replaced within ${replacedMsMax} ms`);
    await sleep(pollMs);
  }
}

/** The callers' ports of what a process has accepted on a port, and of what no process has. */
function callersOf(pid: number, port: number) {
  const inodes = new Set<string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkAt(`/proc/${pid}/fd/${name}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const [accepted, waiting] = [new Set<number>(), new Set<number>()];
  for (const line of readFileSync("/proc/net/tcp", "utf8").trim().split("\n").slice(1)) {
    // Number, local, remote, state, queues, timer, retransmits, user, timeouts, inode; see proc_net_tcp.rst.
    const [, local = "", remote = "", state, , , , , , inode = ""] = line.trim().split(/\s+/);
    if (state !== established || portOf(local) !== port) continue;
    if (inodes.has(inode)) accepted.add(portOf(remote));
    else if (inode === "0") waiting.add(portOf(remote));
  }
  return { accepted, waiting };
}

const established = "01";

function portOf(address: string): number {
  return Number.parseInt(address.split(":")[1] ?? "", 16);
}

function linkAt(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // It was closed meanwhile.
    return "";
  }
}
