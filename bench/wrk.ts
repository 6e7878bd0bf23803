/** The closed-loop load generator: wrk with one thread, on the load's cores. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { loadCores } from "./processes.ts";
import { wantProgram } from "./variants.ts";

const run = promisify(execFile);

export interface WrkOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** 0 for a GET. */
  readonly uploadBytes: number;
  /** Asks for `pathOf` of any route from the first to the last, instead of the URL's path. */
  readonly routes?: readonly [first: number, last: number];
  /** A header whose values, the lines of a file, the requests have in turn. */
  readonly inTurn?: { readonly header: string; readonly file: string };
  /** A new connection for each request. */
  readonly connection?: "close";
}

export interface WrkResult {
  readonly requests: number;
  readonly elapsedUs: number;
  /** Heads and bodies received. */
  readonly bytes: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Connections refused or broken, timeouts of 2 s, and statuses from 400 on. */
  readonly failed: number;
}

/** Rejects when no request at all was answered: a figure per request would be none. */
export async function runWrk(options: WrkOptions): Promise<WrkResult> {
  const script = join(import.meta.dirname, "wrk.lua");
  const { stdout } = await run("taskset", [
    ...["-c", loadCores, wantProgram("wrk"), "--threads", "1", "--latency"],
    ...["--connections", String(options.connections), "--duration", `${options.seconds}s`],
    ...(options.connection === undefined ? [] : ["--header", `connection: ${options.connection}`]),
    ...["--script", script, options.url, "--", String(options.uploadBytes)],
    ...(options.routes ?? []).map(String),
    ...(options.inTurn === undefined ? [] : [options.inTurn.header, options.inTurn.file]),
  ]);
  const line = stdout.split("\n").find((each) => each.startsWith("{"));
  if (line === undefined) throw new Error(`wrk printed no figures for ${options.url}:\n${stdout}`);
  const result = JSON.parse(line) as WrkResult;
  if (result.requests === 0)
    throw new Error(`no request to ${options.url} was answered in ${options.seconds} s`);
  return result;
}
