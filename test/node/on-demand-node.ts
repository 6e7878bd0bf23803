/**
 * A node, supervisor and workers, whose proxy knows no service at first: its membership has those of the mesh named in
 * the command line come with the next snapshot. Started as a program:
 * `bun test/node/on-demand-node.ts ADMIN PORT UPSTREAM WORKERS SERVICE…`.
 */

import { defaultLimits } from "../../src/config/limits.ts";
import { loadConfig } from "../../src/config/load.ts";
import { fileAppenders } from "../../src/host/appenders/node.ts";
import { tryBind } from "../../src/host/binding/bun.ts";
import { certificates } from "../../src/host/certificates/node.ts";
import { systemClock as clock } from "../../src/host/clock/node.ts";
import { systemFiles as files } from "../../src/host/files/node.ts";
import { bunProcesses } from "../../src/host/processes/bun.ts";
import { systemRandom } from "../../src/host/random/node.ts";
import { createSharedMemory, inheritSharedMemory } from "../../src/host/shared-memory/bun.ts";
import { bunSockets as sockets } from "../../src/host/sockets/bun.ts";
import { systemTerminal as terminal } from "../../src/host/terminal/node.ts";
import type { ConfigSource } from "../../src/node/config-source.ts";
import type { Membership } from "../../src/node/membership.ts";
import type { Loaded } from "../../src/node/reloads.ts";
import { Registry } from "../../src/node/service-watch/registry.ts";
import { runNode } from "../../src/node/supervisor.ts";
import { runWorker } from "../../src/node/worker.ts";
import { type WorkerPlace, WorkerProcess, workerVerb } from "../../src/node/worker-process.ts";
import { serveApp } from "../../src/runtime/app-listener.ts";
import { NodeMemory, nodeMemoryBytes } from "../../src/runtime/node-memory/index.ts";
import { NO_NAMES } from "../../src/runtime/proxy/host-names.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";
import type { Snapshot } from "../../src/snapshot.ts";
import { createWorkerMeters } from "../../src/telemetry/index.ts";
import { onlyFilters } from "../found-filters.ts";

const processes = bunProcesses(import.meta.filename);
const appenders = fileAppenders(clock);
const random = systemRandom();
const findFilters = onlyFilters(new Map());
const [first = "", ...rest] = processes.args;
/** As long as a mesh may take to say something of a service. */
const feedMs = 20;

/** Of a place in a mesh, all that this node does not need. */
const quiet = {
  serves() {},
  observed() {},
  problems: () => [],
  status: () => null,
  warnings: () => [],
  notes: () => [],
  inboundListener: null,
  /** Nobody answers. */
  leave: () => new Promise<never>(() => {}),
  close: async () => {},
};

if (first === workerVerb) {
  const [, number = "", seat = ""] = rest;
  runWorker({
    ...{ clock, processes, appenders, createRuntime, sockets, random, findFilters, fetch },
    parent: processes.parent!,
    meters: createWorkerMeters(),
    open: appenders.open,
    names: NO_NAMES,
    nodeId: "node",
    number: Number(number),
    share: new NodeMemory(inheritSharedMemory(nodeMemoryBytes), random).share(Number(seat)),
  });
} else {
  const [port = "", upstream = "", workers = "", ...mesh] = rest;
  processes.exit(await serve({ admin: first, port, upstream, mesh }, Number(workers)));
}

interface Place {
  readonly admin: string;
  readonly port: string;
  readonly upstream: string;
  readonly mesh: readonly string[];
}

async function serve(place: Place, workers: number): Promise<number> {
  const memory = await createSharedMemory(nodeMemoryBytes);
  const startWorker = (at: WorkerPlace) =>
    new WorkerProcess({ processes, clock, nodeId: "node", memory }, at);
  const started = Array.from({ length: workers }, (_, seat) => startWorker({ number: seat + 1, seat }));
  const registry = new Registry();
  const known = new Set<string>();
  let changed = () => {};
  const source: ConfigSource = {
    name: "the mesh",
    load: (version) => loaded(place, known, version),
    watch: (run) => {
      changed = run;
    },
    follow: async () => {},
    explained: (problem) => problem,
    unwatch: () => {},
  };
  const membership: Membership = {
    ...quiet,
    registry,
    async find(services) {
      terminal.out(`asked for ${services.join()}`);
      await Bun.sleep(feedMs);
      for (const name of services.filter((one) => place.mesh.includes(one))) {
        known.add(name);
        const address = { host: "127.0.0.1", port: Number(place.upstream) };
        registry.set(name, [{ config: { address, weight: 1, zone: null, version: null }, state: "healthy" }]);
      }
      changed();
      return services.filter((one) => !place.mesh.includes(one));
    },
  };
  return runNode(
    {
      ...{ clock, files, processes, terminal, tryBind, random, startWorker, source },
      stderr: appenders.open("stderr"),
      programVersion: "0.0.0",
      resolver: { configure() {}, find: () => Promise.reject(new Error("this node looks up no names")) },
      probe: () => Promise.reject(new Error("this node checks no endpoints")),
      serviceManager: { notify() {} },
      memory: new NodeMemory(memory, random),
      membership,
      companion: null,
      formatProblem: ({ message }) => message,
      serve: (address, app, log) =>
        serveApp({ sockets, clock, log }, { name: "admin", address, limits: defaultLimits }, (request) =>
          app.fetch(request),
        ),
    },
    { nodeId: "node" },
    started,
  );
}

async function loaded({ admin, port }: Place, known: ReadonlySet<string>, version: number): Promise<Loaded> {
  const names = [...known];
  const route = (name: string) => `      - { match: { host: ${name}.mesh }, to: ${name} }`;
  const other = "      - { match: { host: here.mesh }, respond: { status: 200, body: here } }";
  const text = [
    `admin: 127.0.0.1:${admin}`,
    `listeners:\n  outbound:\n    bind: 127.0.0.1:${port}\n    routes:`,
    ...[other, ...names.map(route)],
    names.length === 0 ? "" : "services:",
    ...names.map((name) => `  ${name}: { endpoints: ["127.0.0.1:1"] }`),
  ].join("\n");
  const { snapshot, problems } = await loadConfig({
    ...{ certificates, clock, findFilters, version },
    file: "/mesh.yaml",
    files: { read: async () => text, list: async () => [] },
    environment: {},
  });
  const reading = { files: new Map([["mesh", names.join()]]), folders: new Map() };
  return { snapshot: snapshot === null ? null : asSidecar(snapshot), problems, resolved: null, reading };
}

function asSidecar(snapshot: Snapshot): Snapshot {
  return {
    ...snapshot,
    listeners: snapshot.listeners.map((listener) => ({ ...listener, proxy: { egress: "deny" } })),
    services: snapshot.services.map((service) => ({ ...service, endpoints: [], registry: service.name })),
  };
}
