/** Hosts that are namespaces of the network, each with an address of its own on one bridge (ip-netns(8)). */
import { spawnSync } from "node:child_process";
import { type Running, type StartOptions, start } from "../program.ts";

export interface Host {
  readonly address: string;
  /** Starts a program there. */
  start(command: readonly string[], options?: StartOptions): Running;
  /** Its cable, as it were: what is under way is lost without a word. */
  cut(): void;
  connect(): void;
}

export interface Hosts {
  readonly all: readonly Host[];
  /** The namespaces are gone, with all that belongs to them. Whoever runs there ends before. */
  remove(): void;
}

/** Why there cannot be any; null when there can. */
export function hostsMissing(): string | null {
  if (process.getuid?.() !== 0) return "skipped: namespaces of the network need root";
  return Bun.which("ip") === null ? "skipped: needs ip (apt-get install iproute2)" : null;
}

let made = 0;

export function makeHosts(count: number): Hosts {
  made += 1;
  const prefix = `cw${process.pid}-${made}`;
  const bridge = `${prefix}-b`;
  ip("netns", "add", bridge);
  ip("-n", bridge, "link", "add", "bridge", "type", "bridge");
  ip("-n", bridge, "link", "set", "bridge", "up");
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
  return {
    all: names.map((name, index) => makeHost(name, bridge, index + 1)),
    remove() {
      for (const name of [...names, bridge]) ip("netns", "del", name);
    },
  };
}

function makeHost(name: string, bridge: string, number: number): Host {
  const address = `10.77.0.${number}`;
  const port = `port${number}`;
  ip("netns", "add", name);
  ip("-n", bridge, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name);
  ip("-n", bridge, "link", "set", port, "master", "bridge", "up");
  ip("-n", name, "address", "add", `${address}/24`, "dev", "eth0");
  for (const device of ["eth0", "lo"]) ip("-n", name, "link", "set", device, "up");
  return {
    address,
    start: (command, options) => start(["ip", "netns", "exec", name, ...command], options),
    cut: () => ip("-n", bridge, "link", "set", port, "down"),
    connect: () => ip("-n", bridge, "link", "set", port, "up"),
  };
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync("ip", args);
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}
