/** Two sidecars of a mesh: a coordinator, join tokens, and a document that lets one of the two services call the other. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { listening, type Pair, type PairKind, type PairSetting, stopAll } from "./node-pairs.ts";
import { loadCores, proxyCores, type Running, start } from "./processes.ts";
import { clearway, freePort, makeFolder, removeFolder, type Subject, waitForAnswer } from "./variants.ts";

const run = promisify(execFile);

const document = `trustDomain: bench.example
defaults: { mtls: strict, policy: deny }
services:
  caller: {}
  service:
    allow: [{ from: caller }]
    limits: { connections: 1024 }
`;

export function sidecars(program: readonly string[]): PairKind {
  return {
    ...{ name: "clearway, sidecars", program: clearway(program, "clearway"), told: 1 },
    start: (setting) => startSidecars(program, setting),
  };
}

async function startSidecars(program: readonly string[], { backendPort }: PairSetting): Promise<Pair> {
  const mesh = await startCoordinator(program);
  const started: Subject[] = [];
  const stop = async () => {
    try {
      await stopAll(started);
    } finally {
      await mesh.stop();
    }
  };
  try {
    const inbound = await startSidecar(mesh, { service: "service", app: backendPort, upstream: "no" });
    started.unshift(inbound);
    const outbound = await startSidecar(mesh, { service: "caller", app: backendPort, upstream: "yes" });
    started.unshift(outbound);
    await listening(outbound);
    return { outbound, inbound, pids: [outbound.running!.pid, inbound.running!.pid], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Mesh {
  readonly program: readonly string[];
  readonly url: string;
  readonly folder: string;
  /** For one sidecar of the service. */
  token(service: string): Promise<string>;
  stop(): Promise<void>;
}

/** It is asked little once all have joined, and is no part of a request: it runs on the load's cores. */
async function startCoordinator(program: readonly string[]): Promise<Mesh> {
  const folder = makeFolder();
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  writeFileSync(join(folder, "mesh.yaml"), document);
  const verb = ["coordinator", "-c", "mesh.yaml", "--bind", `127.0.0.1:${port}`, "--store", "memory"];
  const running = start({ name: "coordinator", command: [...program, ...verb], cores: loadCores, folder });
  const [file, ...rest] = [...program, "token", "create", "--coordinator", url, "--service"];
  const token = async (service: string) => {
    const { stdout } = await run(file!, [...rest, service], { cwd: folder });
    return stdout.trim().split("\n").at(-1)!;
  };
  const stop = async () => {
    await running.stop();
    removeFolder(folder);
  };
  try {
    await listening({ port, running } as Subject);
  } catch (error) {
    await stop();
    throw error;
  }
  return { program, url, folder, token, stop };
}

interface SidecarWish {
  readonly service: string;
  readonly app: number;
  /** Whether it has a port of its own that leads to `service`. */
  readonly upstream: "yes" | "no";
}

/** Resolves when it has joined and serves. Its port is the one that others, or the load, call. */
async function startSidecar(mesh: Mesh, { service, app, upstream }: SidecarWish): Promise<Subject> {
  const folder = makeFolder();
  const [inbound, outbound, adminPort] = [await freePort(), await freePort(), await freePort()];
  const port = upstream === "yes" ? await freePort() : inbound;
  writeFileSync(join(folder, "token"), await mesh.token(service));
  const command = [
    ...[...mesh.program, "sidecar", "--service", service, "--app", `127.0.0.1:${app}`],
    ...["--coordinator", mesh.url, "--token-file", join(folder, "token"), "--state", join(folder, "state")],
    ...["--inbound", `127.0.0.1:${inbound}`, "--outbound", `127.0.0.1:${outbound}`],
    ...["--admin", `127.0.0.1:${adminPort}`],
    ...(upstream === "yes" ? ["--upstream", `service=127.0.0.1:${port}`] : []),
  ];
  const running: Running = start({ name: "sidecar", command, cores: proxyCores, folder });
  const subject = { port, running, origin: `http://127.0.0.1:${port}`, configPath: "", adminPort, folder };
  try {
    await waitForAnswer(`http://127.0.0.1:${adminPort}/readyz`, running);
    return subject;
  } catch (error) {
    await stopAll([subject]);
    throw error;
  }
}
