/** Workers killed under load, one after the other, and what each kill cost: which requests failed, on whose connections. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
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
  /** Lost ones that no worker had accepted. */
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
  readonly pid: number;
  readonly state: string;
}

/** For a signal to arrive. */
const settleMs = 30;
const pollMs = 10;
const replacedMsMax = 30_000;

/** Kills in time, whether or not those before are replaced; returns a row for each kill. */
export async function killWorkers(options: KillOptions): Promise<KillRow[]> {
  const { port, path, wanted, connections, kills, periodMs } = options;
  const all: Kill[] = [];
  const onLost = (lost: LostConnection) => {
    if (all.length > 0) charge(all, lost);
  };
  const load = startLoad({ port, path, wanted, connections, requestsPerSecond: null, onLost });
  try {
    await sleep(periodMs);
    let last = 0;
    while (all.length < kills) {
      const untilMs = performance.now() + periodMs;
      const worker = nextOf(await serving(options), last);
      last = worker.number;
      process.kill(worker.pid, "SIGSTOP");
      await sleep(settleMs);
      const { succeeded } = load.result();
      const kill = new Kill(worker, callersOf(worker.pid, port), succeeded);
      all.push(kill);
      endProcess(worker.pid);
      while (existsSync(`/proc/${worker.pid}`)) await sleep(1);
      kill.goneAtMs = performance.now();
      kill.replacedMs = replaced(options, kill);
      await sleep(Math.max(0, untilMs - performance.now()));
    }
    const total = load.result().succeeded;
    await Promise.all(all.map(({ replacedMs }) => replacedMs));
    return Promise.all(
      all.map((kill, index) => kill.row((all[index + 1]?.succeeded ?? total) - kill.succeeded)),
    );
  } finally {
    await load.stop();
  }
}

class Kill {
  readonly killedAtMs = performance.now();
  /** When its listening socket was closed: until then the system may still give it connections. */
  goneAtMs = Number.POSITIVE_INFINITY;
  replacedMs: Promise<number> = Promise.resolve(0);
  readonly lost = { failed: 0, idle: 0, waiting: 0, foreign: 0 };

  constructor(
    readonly worker: Worker,
    readonly callers: Callers,
    /** Before it. */
    readonly succeeded: number,
  ) {}

  async row(succeeded: number): Promise<KillRow> {
    const { worker, callers, lost } = this;
    const connections = callers.own.size;
    return { worker: worker.number, connections, ...lost, replacedMs: await this.replacedMs, succeeded };
  }
}

/** A loss may be heard of late: it belongs to the kill of the worker that had the connection, whenever that was. */
function charge(kills: readonly Kill[], lost: LostConnection): void {
  const port = lost.port ?? noPort;
  const before = kills.filter(({ goneAtMs }) => lost.askedAtMs < goneAtMs);
  const owner = before.findLast(({ callers }) => callers.own.has(port));
  if (owner !== undefined) {
    owner.lost[lost.failure === null ? "idle" : "failed"]++;
    return;
  }
  // One that was made and reset at once tells no port; one that was refused had nobody to be made with.
  const refused = lost.message.includes("ECONNREFUSED");
  const waitedFor = refused ? undefined : before.find(({ callers }) => !callers.others.has(port));
  if (waitedFor === undefined) kills.at(-1)!.lost.foreign++;
  else waitedFor.lost.waiting++;
}

const noPort = -1;

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

async function replaced(options: KillOptions, { worker, killedAtMs }: Kill): Promise<number> {
  const { number, pid } = worker;
  for (;;) {
    const passedMs = performance.now() - killedAtMs;
    const successor = (await serving(options)).find((one) => one.number === number);
    if (successor !== undefined && successor.pid !== pid) return passedMs;
    if (passedMs > replacedMsMax)
      throw new Error(`worker ${number} was not replaced within ${replacedMsMax} ms`);
    await sleep(pollMs);
  }
}

/** It is gone from /proc only when all its threads are, and with them its sockets. */
function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Its supervisor took it for stuck.
  }
}

/** Callers' ports. */
interface Callers {
  /** Of connections that the worker has accepted. */
  readonly own: ReadonlySet<number>;
  /** That another worker has accepted. */
  readonly others: ReadonlySet<number>;
}

function callersOf(pid: number, port: number): Callers {
  const inodes = new Set<string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkAt(`/proc/${pid}/fd/${name}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const [own, others] = [new Set<number>(), new Set<number>()];
  for (const line of readFileSync("/proc/net/tcp", "utf8").trim().split("\n").slice(1)) {
    // Number, local, remote, state, queues, timer, retransmits, user, timeouts, inode; see proc_net_tcp.rst.
    const [, local = "", remote = "", state, , , , , , inode = ""] = line.trim().split(/\s+/);
    if (state !== established || portOf(local) !== port) continue;
    if (inodes.has(inode)) own.add(portOf(remote));
    // Of what nobody has accepted yet the system says 0.
    else if (inode !== "0") others.add(portOf(remote));
  }
  return { own, others };
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
