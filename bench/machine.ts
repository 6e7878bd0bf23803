/** The facts without which a figure says nothing: the machine, the versions, the commit, the command. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { cpus, loadavg, release, type as systemName, totalmem } from "node:os";
import { join } from "node:path";
import { findPeers, peers, versionOf } from "./peers.ts";
import { findProgram } from "./processes.ts";

export interface Facts {
  /** The first field of the first line of a file of rounds. */
  readonly kind: "facts";
  /** UTC, to the second. */
  readonly startedAt: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memory: string;
    readonly kernel: string;
    /** Of the last minute, before the run. */
    readonly loadAverage: number;
  };
  readonly versions: Readonly<Record<string, string>>;
  /** What was run as Clearway. */
  readonly clearway: string;
  readonly commit: string;
  /** Whether src, bench or the packages differed from that commit. */
  readonly state: "clean" | "changed";
  readonly command: string;
}

export const repository = join(import.meta.dirname, "..");

export interface ClearwayProgram {
  readonly command: readonly string[];
  /** For the table: without a path of this machine. */
  readonly description: string;
  /** Null when it runs from source. */
  readonly binaryPath: string | null;
}

/** The binary when it is newer than the source, else the source. `chosen` is another build to measure. */
export function findClearway(chosen: string | undefined): ClearwayProgram {
  if (chosen !== undefined) {
    return { command: [chosen], description: "another program (--clearway)", binaryPath: chosen };
  }
  const binaryPath = join(repository, "dist", "clearway");
  const builtAt = statSync(binaryPath, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (builtAt > newest(join(repository, "src"))) {
    return { command: [binaryPath], description: "dist/clearway", binaryPath };
  }
  const why = builtAt === 0 ? "no dist/clearway" : "dist/clearway is older";
  return {
    command: [process.execPath, join(repository, "src", "main.ts")],
    description: `from source (${why}: npm run build)`,
    binaryPath: null,
  };
}

/** When the newest file under the folder was changed, in epoch milliseconds. */
function newest(folder: string): number {
  let latest = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) latest = Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
  }
  return latest;
}

export function readFacts(clearway: ClearwayProgram, command: string): Facts {
  const git = (...rest: string[]) =>
    execFileSync("git", ["-C", repository, ...rest], { encoding: "utf8" }).trim();
  const measured = ["src", "bench", "plugins", "package.json", "package-lock.json", ":!bench/results"];
  const processors = cpus();
  return {
    kind: "facts",
    startedAt: `${new Date().toISOString().slice(0, 19)}Z`,
    machine: {
      cpu: processors[0]?.model ?? "unknown",
      cores: processors.length,
      memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
      kernel: `${systemName()} ${release()}`,
      loadAverage: loadavg()[0] ?? 0,
    },
    versions: readVersions(),
    clearway: clearway.description,
    commit: git("rev-parse", "--short=10", "HEAD"),
    state: git("status", "--porcelain", "--", ...measured) === "" ? "clean" : "changed",
    command,
  };
}

/** Of all that has a part in the figures; a peer that is missing is not named. */
function readVersions(): Record<string, string> {
  const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as {
    version: string;
  };
  const versions: Record<string, string> = { Clearway: version, Bun: process.versions.bun ?? "none" };
  const { found } = findPeers();
  for (const { name, version } of peers) {
    const command = found.get(name);
    if (command !== undefined) versions[name] = version(command);
  }
  const wrk = findProgram("wrk");
  if (wrk !== null) versions.wrk = versionOf([wrk], "--version", /wrk (\S+)/);
  return versions;
}

/** The message of a failed measurement and the first line of the log under it, without the paths of this machine. */
export function failureText(error: Error): string {
  const lines = error.message.replaceAll(`${repository}/`, "").split("\n");
  return lines
    .filter((line) => line.trim() !== "")
    .slice(0, 2)
    .join(": ");
}
