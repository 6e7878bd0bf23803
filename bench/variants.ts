/** What is measured side by side: each variant is a program, its config from peers/, and how to start it. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PeerName, wantPeer } from "./peers.ts";
import { findProgram, loadCores, type Running, start } from "./processes.ts";

export type VariantName =
  | "direct"
  | PeerName
  | "nginx, default buffers"
  | "clearway"
  | `clearway of ${string}`
  | "clearway, 3 filters"
  | `clearway, ${number} workers`;

export interface Variant {
  readonly name: VariantName;
  /** In peers/; null for the direct row, which has no proxy. */
  readonly template: string | null;
  command(config: string, folder: string): readonly string[];
}

/** A started variant, and where it listens. */
export interface Subject {
  readonly port: number;
  /** With scheme and port. */
  readonly origin: string;
  /** Null for the direct row. */
  readonly running: Running | null;
  readonly configPath: string;
  readonly adminPort: number;
  /** The folder of its config, its log and its access log. */
  readonly folder: string;
}

const peersFolder = join(import.meta.dirname, "peers");
const firstPort = 23_000;
const portsMax = 500;
let portsTaken = 0;

/** Ports below the range that the system gives to outgoing connections, one after the other, skipping taken ones. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < portsMax; tries++) {
    const port = firstPort + (portsTaken++ % portsMax);
    if (await canBind(port)) return port;
  }
  throw new Error(`no free port from ${firstPort} to ${firstPort + portsMax - 1}`);
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port }, () => server.close(() => resolve(true)));
  });
}

const folders = new Set<string>();

export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "clearway-bench-"));
  folders.add(folder);
  // The workers of a program that root started read it too.
  chmodSync(folder, 0o755);
  return folder;
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** For the end of this program, however it ends. */
export function removeAllFolders(): void {
  for (const folder of folders) removeFolder(folder);
}

/** Fills `@name@` in a file of peers/. */
export function fillTemplate(name: string, values: Readonly<Record<string, string | number>>): string {
  return readFileSync(join(peersFolder, name), "utf8").replaceAll(/@(\w+)@/g, (_, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`bench/peers/${name} wants @${key}@, which is not given here`);
    return String(value);
  });
}

/** What the backend serves under `/bytes/`, by name. */
export const bodyBytes = { "1k": 1024, "16k": 16 * 1024, "64k": 64 * 1024, "1m": 1024 * 1024 } as const;

/** Every byte depends on its place, so that a piece lost or moved shows. */
export function bodyOf(lengthBytes: number): Buffer {
  const body = Buffer.alloc(lengthBytes);
  for (let index = 0; index < lengthBytes; index++) body[index] = 33 + ((index * 7 + (index >> 8)) % 90);
  return body;
}

export const smallBody = Buffer.from("hello world, this is a small body of some bytes\n");

/** The nginx that answers for every variant. */
export async function startBackend(folder: string): Promise<{ port: number; running: Running }> {
  const port = await freePort();
  mkdirSync(join(folder, "bytes"));
  for (const [name, lengthBytes] of Object.entries(bodyBytes)) {
    writeFileSync(join(folder, "bytes", name), bodyOf(lengthBytes));
  }
  const config = join(folder, "backend.conf");
  writeFileSync(config, fillTemplate("backend.conf", { folder, port }));
  const command = [wantProgram("nginx"), "-e", "stderr", "-p", folder, "-c", config];
  const running = start({ name: "backend", command, cores: loadCores, folder });
  await waitForAnswer(`http://127.0.0.1:${port}/small`, running);
  return { port, running };
}

export function wantProgram(name: "nginx" | "wrk" | "haproxy"): string {
  const path = findProgram(name);
  if (path === null) throw new Error(`no ${name} on this machine: apt-get install ${name}`);
  return path;
}

export const nginx: Variant = {
  name: "nginx",
  template: "nginx.conf",
  command: (config, folder) => [wantProgram("nginx"), "-e", "stderr", "-p", folder, "-c", config],
};

export const nginxDefaultBuffers: Variant = {
  ...nginx,
  name: "nginx, default buffers",
  template: "nginx-default-buffers.conf",
};

export const haproxy: Variant = {
  name: "haproxy",
  template: "haproxy.cfg",
  command: (config) => [wantProgram("haproxy"), "-W", "-f", config],
};

export const caddy: Variant = {
  name: "caddy",
  template: "caddy.caddyfile",
  // One thread for its code, and a home of its own.
  command: (config, folder) => [
    ...["env", "GOMAXPROCS=1", `HOME=${folder}`, ...wantPeer("caddy")],
    ...["run", "--config", config, "--adapter", "caddyfile"],
  ],
};

export const envoy: Variant = {
  name: "envoy",
  template: "envoy.yaml",
  // Not for a second Envoy that takes over from it: several run beside each other.
  command: (config) => [
    ...[...wantPeer("envoy"), "-c", config, "--concurrency", "1"],
    ...["--disable-hot-restart", "--log-level", "error"],
  ],
};

/** What a user would pick who writes TypeScript: each is a program of a few lines in peers/. */
export const typescriptProxies = (["http-proxy-3", "@fastify/http-proxy", "hono proxy()"] as const).map(
  (name): Variant => ({
    name,
    template: "typescript.json",
    command: (config) => [...wantPeer(name), config],
  }),
);

/** The variant of each peer, in the order of the tables. */
export const peerVariants: readonly (Variant & { readonly name: PeerName })[] = [
  nginx,
  haproxy,
  caddy,
  envoy,
  ...typescriptProxies,
] as (Variant & { readonly name: PeerName })[];

export const direct: Variant = { name: "direct", template: null, command: () => [] };

export function clearway(program: readonly string[], name: "clearway" | "clearway, 3 filters"): Variant {
  return {
    name,
    template: name === "clearway" ? "clearway.yaml" : "clearway-filters.yaml",
    command: (config) => [...program, "run", "-c", config],
  };
}

export function clearwayWorkers(program: readonly string[], workers: number): Variant {
  return {
    name: `clearway, ${workers} workers`,
    template: "clearway.yaml",
    command: (config) => [...program, "run", "-c", config, "--workers", String(workers)],
  };
}

export interface StartOptions {
  readonly backendPort: number;
  /** As taskset takes it; null for all. */
  readonly cores: string | null;
  /** Another file of peers/ than the variant's own, and further values for it. */
  readonly template?: string;
  readonly values?: Readonly<Record<string, string | number>>;
  /** Further files of its folder, each with the file of peers/ that it is filled from. */
  readonly files?: Readonly<Record<string, string>>;
  /** What its template speaks; http when not given. */
  readonly scheme?: "https";
  /** Called right before the program is executed. */
  readonly started?: () => void;
}

/** Writes the config into a new folder and starts the program; it may not serve yet. */
export async function startSubject(variant: Variant, options: StartOptions): Promise<Subject> {
  const { backendPort, cores, scheme = "http" } = options;
  if (variant.template === null) {
    const origin = `http://127.0.0.1:${backendPort}`;
    return { port: backendPort, origin, running: null, configPath: "", adminPort: 0, folder: "" };
  }
  const folder = makeFolder();
  const [port, adminPort] = [await freePort(), await freePort()];
  const template = options.template ?? variant.template;
  const values = {
    port,
    admin: adminPort,
    backend: backendPort,
    folder,
    workerConnections: 8192,
    ...options.values,
  };
  const configPath = join(folder, template);
  writeFileSync(configPath, fillTemplate(template, values));
  for (const [name, source] of Object.entries(options.files ?? {})) {
    writeFileSync(join(folder, name), fillTemplate(source, values));
  }
  const command = variant.command(configPath, folder);
  options.started?.();
  const running = start({ name: "proxy", command, cores, folder });
  return { port, origin: `${scheme}://127.0.0.1:${port}`, running, configPath, adminPort, folder };
}

/** Stops the program and removes its folder. Throws when a process had to be killed. */
export async function stopSubject(subject: Subject): Promise<void> {
  if (subject.running === null) return;
  const killed = await subject.running.stop();
  const log = killed > 0 ? subject.running.log() : "";
  removeFolder(subject.folder);
  if (killed > 0) throw new Error(`${killed} processes did not stop on SIGTERM and were killed\n${log}`);
}

const answerWaitMs = 10_000;

/** Resolves at the first answer 200, asking every `everyMs`; rejects, with the end of the log, when it ended or took too long. */
export async function waitForAnswer(url: string, running: Running | null, everyMs = 5): Promise<void> {
  const deadline = performance.now() + answerWaitMs;
  for (;;) {
    const signal = AbortSignal.timeout(answerWaitMs);
    const status = await fetch(url, { keepalive: false, signal, tls: { rejectUnauthorized: false } }).then(
      (answer) => answer.status,
      () => null,
    );
    if (status === 200) return;
    const exit = running?.exit() ?? null;
    if (exit === null && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    else throw new Error(`no answer from ${url}: ${exit ?? `status ${status}`}\n${running?.log() ?? ""}`);
  }
}
