/** Programs under measurement: started on chosen cores, read through /proc, and stopped without a trace. */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The proxy has the first core; this program, the load generator and the backend have the others. */
export const proxyCores = "0";
export const loadCores = cpus().length > 1 ? `1-${cpus().length - 1}` : proxyCores;

const stopWaitMs = 10_000;
const logTailBytes = 2_000;

export interface Program {
  readonly name: string;
  readonly command: readonly string[];
  /** As taskset takes it; null for all. */
  readonly cores: string | null;
  /** Takes the log. */
  readonly folder: string;
}

export interface Running {
  readonly pid: number;
  /** Null while it runs. */
  exit(): string | null;
  /** The end of what it wrote to stdout and stderr. */
  log(): string;
  /** SIGTERM to the program alone; SIGKILL for what is still there after `waitMs` (10 s). Returns how many needed that. */
  stop(waitMs?: number): Promise<number>;
}

const running = new Set<Running & { kill(): void }>();

/**
 * In a session of its own, so that no descendant is lost. It ends with this program, even when that is killed:
 * `setpriv --pdeathsig` stays in force over exec.
 */
export function start(program: Program): Running {
  const logPath = join(program.folder, `${program.name}.log`);
  const log = openSync(logPath, "a");
  const pinned = program.cores === null ? [] : ["taskset", "-c", program.cores];
  const [file, ...rest] = [...pinned, "setpriv", "--pdeathsig", "TERM", ...program.command];
  const child = spawn(file!, rest, { cwd: program.folder, detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  let exit: string | null = null;
  child.on("error", (error) => {
    exit = error.message;
  });
  child.on("exit", (code, signal) => {
    exit = signal ?? `exit code ${code}`;
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`cannot start ${program.command[0]}: wanted taskset and setpriv`);
  // The number of one that ended may belong to another by now.
  const members = () => processTree(pid).filter((each) => each !== pid || exit === null);
  const handle = {
    pid,
    exit: () => exit,
    log: () => readFileSync(logPath, "utf8").slice(-logTailBytes),
    kill: () => members().forEach(kill),
    async stop(waitMs = stopWaitMs) {
      const tree = members();
      child.kill("SIGTERM");
      for (const deadline = Date.now() + waitMs; tree.some(isAlive) && Date.now() < deadline; )
        await sleep(5);
      const left = tree.filter(isAlive);
      left.forEach(kill);
      running.delete(handle);
      return left.length;
    },
  };
  running.add(handle);
  return handle;
}

/** For the end of this program, however it ends. */
export function killAll(): void {
  for (const each of running) each.kill();
}

/** Moves this program, with all its threads, to the cores of the load. */
export function pinSelf(): void {
  if (loadCores === proxyCores) throw new Error("cannot measure on one core: the proxy wants one of its own");
  const { status } = spawnSync("taskset", ["-a", "-c", "-p", loadCores, String(process.pid)]);
  if (status !== 0)
    throw new Error(`cannot move this program to the cores ${loadCores}: wanted taskset and two cores`);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

/** A zombie waits for its parent only; it counts as gone. */
function isAlive(pid: number): boolean {
  const fields = statFields(pid);
  return fields !== null && fields[0] !== "Z";
}

/** What follows the name in /proc/PID/stat: the state is the first, the parent the second (proc(5)). */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

/** The process, all that descend from it, and what is left of its session when it is gone. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  const tree = new Set([root]);
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    const fields = Number.isInteger(pid) ? statFields(pid) : null;
    if (fields === null || fields[0] === "Z") continue;
    const [parent, , session] = fields.slice(1).map(Number);
    if (session === root) tree.add(pid);
    children.set(parent!, [...(children.get(parent!) ?? []), pid]);
  }
  // A set goes on to what is added to it on the way.
  for (const pid of tree) for (const child of children.get(pid) ?? []) tree.add(child);
  return [...tree];
}

/** CPU time of one process, all its threads. */
interface CpuTime {
  /** Nanoseconds, but without the threads that ended. */
  readonly threadsNs: number;
  /** Whole ticks of 10 ms (USER_HZ), with the threads that ended. */
  readonly ticks: number;
}

export type CpuReading = ReadonlyMap<number, CpuTime>;

const tickUs = 10_000;

export function readCpu(root: number): CpuReading {
  const reading = new Map<number, CpuTime>();
  for (const pid of processTree(root)) {
    const fields = statFields(pid);
    if (fields === null) continue;
    reading.set(pid, { threadsNs: threadsNs(pid), ticks: Number(fields[11]) + Number(fields[12]) });
  }
  return reading;
}

function threadsNs(pid: number): number {
  let sum = 0;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ")[0]);
    }
  } catch {
    // A thread, or the process, ended meanwhile; its ticks remain.
  }
  return sum;
}

/** Microseconds of CPU that all processes of `after` took since `before`. */
export function cpuBetween(before: CpuReading, after: CpuReading): number {
  let sumUs = 0;
  for (const [pid, end] of after) {
    const begin = before.get(pid) ?? { threadsNs: 0, ticks: 0 };
    const fineUs = (end.threadsNs - begin.threadsNs) / 1000;
    // Less by one tick, which is what rounding can add: the ticks win only when a thread took its time with it.
    const coarseUs = (end.ticks - begin.ticks - 1) * tickUs;
    sumUs += Math.max(fineUs, coarseUs);
  }
  return sumUs;
}

export interface Memory {
  /** Pages that processes share are counted once for each. */
  readonly rssBytes: number;
  /** Shared pages are divided among those who share them. */
  readonly pssBytes: number;
}

/** The sum over the process and all that descend from it. */
export function readMemory(root: number): Memory {
  let rssBytes = 0;
  let pssBytes = 0;
  for (const pid of processTree(root)) {
    // One that ended since holds nothing.
    if (!isAlive(pid)) continue;
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
    rssBytes += kibibytes(text, "Rss") * 1024;
    pssBytes += kibibytes(text, "Pss") * 1024;
  }
  return { rssBytes, pssBytes };
}

function kibibytes(text: string, field: string): number {
  const found = new RegExp(`^${field}: +(\\d+) kB$`, "m").exec(text)?.[1];
  if (found === undefined)
    throw new Error(`cannot read ${field} from smaps_rollup: wanted a Linux 4.14 or newer`);
  return Number(found);
}

/** The path of a program, or null; also where Debian keeps daemons that a user's PATH leaves out. */
export function findProgram(name: string): string | null {
  for (const folder of [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"]) {
    const path = join(folder || ".", name);
    if (statSync(path, { throwIfNoEntry: false })?.isFile()) return path;
  }
  return null;
}
