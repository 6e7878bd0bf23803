/**
 * A whole node, supervisor and worker, around a runtime that answers one text and does harm on request. Started as a
 * program: `bun test/node/fake-node.ts FILE [WORKERS]`. The file is JSON: { admin, port, body, drainMs, format, wrong,
 * refuse, refuseIn, busyMsMax }; `refuseIn` is the number of the worker that refuses, all when it is missing.
 */
import { fileAppenders } from "../../src/host/appenders/node.ts";
import { tryBind } from "../../src/host/binding/bun.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { systemFiles } from "../../src/host/files/node.ts";
import { bunProcesses } from "../../src/host/processes/bun.ts";
import { systemRandom } from "../../src/host/random/node.ts";
import { createSharedMemory, inheritSharedMemory } from "../../src/host/shared-memory/bun.ts";
import { bunSockets } from "../../src/host/sockets/bun.ts";
import { systemTerminal } from "../../src/host/terminal/node.ts";
import type { ByteSocket, Files, ListeningSocket } from "../../src/machine.ts";
import { FileSource } from "../../src/node/config-source.ts";
import { runNode } from "../../src/node/supervisor.ts";
import { runWorker } from "../../src/node/worker.ts";
import { type WorkerPlace, WorkerProcess, workerVerb } from "../../src/node/worker-process.ts";
import { NodeMemory, nodeMemoryBytes } from "../../src/runtime/node-memory/index.ts";
import { NO_NAMES } from "../../src/runtime/proxy/host-names.ts";
import type { Runtime, RuntimeParts } from "../../src/runtime/runtime.ts";
import type { Problem, Snapshot } from "../../src/snapshot.ts";
import { createWorkerMeters } from "../../src/telemetry/index.ts";
import { onlyFilters } from "../found-filters.ts";

const clock = systemClock;
const hostProcesses = bunProcesses(import.meta.filename);
/** The file's replaces the worker's own. */
let busyMsMax: number | undefined;
const processes = {
  ...hostProcesses,
  endAfterBusy: (cpuMs: number) => hostProcesses.endAfterBusy(busyMsMax ?? cpuMs),
};
const appenders = fileAppenders(clock);
const [file = ""] = processes.args;

if (file === workerVerb) {
  const meters = createWorkerMeters();
  const [, , number = "", seat = ""] = processes.args;
  runWorker({
    clock,
    meters,
    processes,
    appenders,
    parent: processes.parent!,
    createRuntime: fakeRuntime,
    sockets: bunSockets,
    random: systemRandom(),
    findFilters: onlyFilters(new Map()),
    open: appenders.open,
    fetch,
    names: NO_NAMES,
    nodeId: "node",
    number: Number(number),
    share: new NodeMemory(inheritSharedMemory(nodeMemoryBytes), systemRandom()).share(Number(seat)),
  });
} else {
  const [, workers = "1"] = processes.args;
  const memory = await createSharedMemory(nodeMemoryBytes);
  const startWorker = (place: WorkerPlace) =>
    new WorkerProcess({ processes, clock, nodeId: "node", memory }, place);
  const first = Array.from({ length: Number(workers) }, (_, seat) => startWorker({ number: seat + 1, seat }));
  const parts = {
    clock,
    files: systemFiles,
    processes,
    tryBind,
    terminal: systemTerminal,
    stderr: appenders.open("stderr"),
    programVersion: "0.0.0",
    random: systemRandom(),
    resolver: { configure() {}, find: () => Promise.reject(new Error("this node has no names to look up")) },
    probe: () => Promise.reject(new Error("this node has no endpoints to check")),
    membership: null,
    companion: null,
    serviceManager: { notify() {} },
    startWorker,
    memory: new NodeMemory(memory, systemRandom()),
    source: new FileSource({ clock, files: systemFiles, load }, file),
    formatProblem: ({ file, line, column, message }: Problem) => `${file}:${line}:${column} ${message}`,
    async serve(
      address: { host: string; port: number },
      app: { fetch(request: Request): Response | Promise<Response> },
    ) {
      const server = Bun.serve({
        hostname: address.host,
        port: address.port,
        fetch: (request) => app.fetch(request),
      });
      return {
        address: { host: address.host, port: server.port! },
        renew() {},
        drain: async () => void (await server.stop(true)),
      };
    },
  };
  const code = await runNode(parts as Parameters<typeof runNode>[0], { nodeId: "node" }, first);
  await appenders.flush();
  processes.exit(code);
}

async function load(files: Files, version: number) {
  const problem: Problem = {
    file,
    line: 3,
    column: 7,
    path: "",
    message: "is wrong",
    hints: [],
    excerpt: null,
  };
  let text: string;
  try {
    text = await files.read(file);
  } catch {
    return {
      snapshot: null,
      resolved: null,
      problems: [{ ...problem, message: `cannot read ${file}: no such file` }],
    };
  }
  let content: Record<string, unknown>;
  try {
    content = JSON.parse(text);
  } catch {
    content = { wrong: true };
  }
  if (content.wrong)
    return { snapshot: null, resolved: null, problems: [{ ...problem, excerpt: { text: "x", length: 1 } }] };
  const { port, admin, body, drainMs = 1000, format = "json" } = content;
  const place = { file, line: 5 };
  const listener = {
    name: "web",
    bind: { host: "127.0.0.1", port },
    protocol: "http",
    ...{ tls: [], filters: [] },
    routes: [{ body, name: "all", filters: [], action: { kind: "respond" }, place }],
    place,
  };
  const log = { level: "info", format };
  const snapshot = {
    version,
    admin: { host: "127.0.0.1", port: admin },
    drainMs,
    log,
    listeners: [listener],
    services: [],
    ...{ plugins: [], workerMemoryBytes: 2 ** 30 },
  };
  return {
    snapshot: {
      ...snapshot,
      refuse: content.refuse,
      refuseIn: content.refuseIn,
      busyMsMax: content.busyMsMax,
    } as unknown as Snapshot,
    problems: [],
    resolved: content,
  };
}

function fakeRuntime({ meters }: RuntimeParts): Runtime {
  let listening: ListeningSocket | null = null;
  let body = "";
  const slow = new Set<ByteSocket>();
  const accept = () => {
    let own: ByteSocket;
    return {
      onOpen(socket: ByteSocket) {
        own = socket;
      },
      onData(chunk: Buffer) {
        // More on the connection of a slow request: its caller has waited long enough.
        if (slow.delete(own)) return respond(own, body);
        const path = chunk.toString().split(" ")[1];
        meters.route("web", "all").record("store", "GET", 200, "", 1);
        if (path === "/crash") process.exit(3);
        if (path === "/hang") for (;;) body = String(body);
        if (path === "/throw") setTimeout(() => explode(), 0);
        if (path === "/slow") slow.add(own);
        else respond(own, body);
      },
      onDrain() {},
      onEnd() {},
      onClose() {
        slow.delete(own);
      },
    };
  };
  const runtime = {
    async apply(snapshot: Snapshot & { refuse?: string; refuseIn?: string; busyMsMax?: number }) {
      busyMsMax = snapshot.busyMsMax;
      if (busyMsMax !== undefined) processes.endAfterBusy(busyMsMax);
      const { bind, routes, place } = snapshot.listeners[0]!;
      const { refuse, refuseIn = processes.args[2] } = snapshot;
      const refuses = refuse !== undefined && refuseIn === processes.args[2];
      if (refuses && refuse === "crash") process.exit(4);
      if (refuses) return { ok: false, problems: [{ place, message: "the runtime refuses" }] };
      if (JSON.stringify(listening?.address) !== JSON.stringify(bind)) {
        const next = await bunSockets.listen(bind, "shared", accept);
        listening?.stop();
        listening = next;
      }
      body = (routes[0] as unknown as { body: string }).body;
      return { ok: true, held: { longestMs: 1, totalMs: 2 } };
    },
    updateServices() {},
    takeEjections: () => [],
    report: () => ({ generations: 1, activeRequests: 0, listeners: [], services: [] }),
    async drain(timeoutMs: number) {
      listening?.stop();
      for (const endMs = clock.now() + timeoutMs; slow.size > 0 && clock.now() < endMs; ) await Bun.sleep(5);
      return { forced: 0 };
    },
  };
  return runtime as unknown as Runtime;
}

function respond(socket: ByteSocket, body: string): void {
  const head = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
  const bytes = Buffer.from(head + body);
  socket.write(bytes, 0, bytes.length);
  socket.end();
}

function explode(): never {
  throw new Error("thrown while serving");
}
