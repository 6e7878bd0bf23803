#!/usr/bin/env bun
/**
 * The composition root: gives each verb its parts. What a verb needs is imported when it runs, so that `check` loads
 * no server, a worker no YAML, and a node's worker starts before its supervisor has loaded anything.
 */
import packageJson from "../package.json" with { type: "json" };
import type { LoadedDocument } from "./cli/apply.ts";
import type { Checked } from "./cli/check.ts";
import type { PluginFiles } from "./cli/plugin-new.ts";
import type { RunOptions } from "./cli/run.ts";
import type { SchemaOf } from "./cli/schema.ts";
import type { SidecarArguments } from "./cli/sidecar.ts";
import type { FilterFamily, FindFilters } from "./filter-lookup.ts";
import { fileAppenders } from "./host/appenders/node.ts";
import { systemClock } from "./host/clock/node.ts";
import { systemDatagrams } from "./host/datagrams/node.ts";
import { systemFiles } from "./host/files/node.ts";
import { host } from "./host/index.ts";
import { systemRandom } from "./host/random/node.ts";
import { patientTerminal, systemTerminal } from "./host/terminal/node.ts";
import type { Terminal } from "./machine.ts";
import { type GivenFilters, type TrialPurpose, trialVerb } from "./node/plugins/trial-messages.ts";
import type { UserFilters } from "./node/plugins/user-filters.ts";
import { recordReads } from "./node/readings.ts";
import type { NodeParts } from "./node/supervisor.ts";
import { type WorkerPlace, WorkerProcess, workersMax, workerVerb } from "./node/worker-process.ts";
import { NodeMemory, nodeMemoryBytes } from "./runtime/node-memory/index.ts";
import { privateMemory } from "./runtime/node-memory/private-memory.ts";
import type { Probe } from "./runtime/probe.ts";
import type { HostNames } from "./runtime/proxy/host-names.ts";
import type { Problem } from "./snapshot.ts";
import type { Appender } from "./types.ts";

const programVersion = packageJson.version;
const clock = systemClock;
const random = systemRandom();
const files = systemFiles;
const { sockets, directFetch } = host;
const terminal = systemTerminal;
const appenders = fileAppenders(clock);
const processes = host.processes(import.meta.filename);
const { environment } = processes;
const lastWordsMs = 1000;
const written = () => import("./host/files/written.ts");
const pluginFiles: PluginFiles = {
  list: files.list,
  read: files.read,
  writeNew: async (path, text) => (await written()).writeNew(path, text),
  replaceFolder: async (folder, texts) => (await written()).replaceFolder(folder, texts),
};
let loadedUserFilters: UserFilters | null = null;
let loadedNames: Promise<HostNames> | null = null;

if (processes.args[0] === workerVerb && processes.parent !== null) {
  const [, nodeId = "", number, seat] = processes.args;
  await carryRequests({ nodeId, number: Number(number), seat: Number(seat) });
} else if (processes.args[0] === trialVerb && processes.parent !== null) {
  const [, purpose, file = "", version] = processes.args;
  await tryFilters(purpose as TrialPurpose, file, Number(version));
} else {
  const code = await obey();
  // Not longer: whoever reads the log may have stopped reading.
  await Promise.race([appenders.flush(), new Promise<void>((resolve) => clock.after(lastWordsMs, resolve))]);
  processes.exit(code);
}

async function obey(): Promise<number> {
  const [{ runCommandLine }, { meshVerbs }] = await Promise.all([
    import("./cli/command-line.ts"),
    import("./main-mesh.ts"),
  ]);
  const line = { args: processes.args, version: programVersion, terminal };
  return runCommandLine(line, {
    run: { start: run, workersMax },
    check: { load: check, terminal },
    schema,
    demo: async (given) => {
      const { demonstrate } = await import("./main-demo.ts");
      return demonstrate({ host, processes, clock, random, files, terminal, needsBun, onStop }, given);
    },
    sidecar,
    plugin: { terminal, needsBun, kit: host.pluginKit, files: pluginFiles },
    ...meshVerbs({
      ...{ host, clock, random, files, terminal, environment, programVersion, needsBun, onStop },
      ...{ checked, configLoader, problemFormatter, findFilters: filterFinding },
      stderr: () => appenders.open("stderr"),
    }),
  });
}

async function carryRequests({ nodeId, number, seat }: WorkerPlace & { nodeId: string }): Promise<void> {
  // Before any filter is loaded: what it sees as Request and Response from its first line on.
  const { installGlobals } = await import("./runtime/fetch/globals.ts");
  installGlobals();
  const [{ runWorker }, { createRuntime }, { createWorkerMeters }, findFilters] = await Promise.all([
    import("./node/worker.ts"),
    import("./runtime/runtime.ts"),
    import("./telemetry/index.ts"),
    filterFinding(),
  ]);
  const parts = { sockets, clock, random, processes, appenders, open: appenders.open, fetch: directFetch };
  runWorker({
    ...parts,
    names: {
      find: async (...asked) => (await names()).find(...asked),
      own: async () => (await names()).own(),
    },
    parent: processes.parent!,
    number,
    share: new NodeMemory((await host.inheritSharedMemory(nodeMemoryBytes)) ?? privateMemory(), random).share(
      seat,
    ),
    findFilters,
    meters: createWorkerMeters(),
    nodeId,
    createRuntime,
  });
}

/** Only a worker whose callers name hosts that no service does needs them. */
async function names(): Promise<HostNames> {
  loadedNames ??= Promise.all([import("./node/dns/host-names.ts"), import("./host/addresses/node.ts")]).then(
    ([{ hostNames }, { ownAddresses }]) =>
      hostNames({ clock, random, sockets, files, datagrams: systemDatagrams }, ownAddresses),
  );
  return loadedNames;
}

/** Never returns: what it runs may do anything, so whoever started it ends it. */
async function tryFilters(purpose: TrialPurpose, file: string, version: number): Promise<never> {
  const { installGlobals } = await import("./runtime/fetch/globals.ts");
  installGlobals();
  const [{ runTrial }, { loadInTrial }, options] = await Promise.all([
    import("./node/plugins/trial-process.ts"),
    import("./node/config-loading.ts"),
    loadingOptions(file),
  ]);
  const parts = { parent: processes.parent!, processes, clock, random, files };
  return runTrial({
    ...parts,
    load: async (noted, trial, given) => {
      if (purpose !== "filters") return loadInTrial({ ...options, files: noted, trial, version }, purpose);
      const { tryGiven } = await import("./node/plugins/given-filters.ts");
      return tryGiven((await given()) as GivenFilters, trial, options.findFilters);
    },
  });
}

async function run({ file, workers }: RunOptions): Promise<number> {
  return serveNode(`run --workers ${workers}`, workers, async ({ stderr }) => {
    const [{ FileSource }, load] = await Promise.all([import("./node/config-source.ts"), configLoader(file)]);
    const { openPrivateFolder: openFolder, secureFetch: fetch } = host;
    if (openFolder === null || fetch === null) {
      const { withoutMesh } = await import("./node/mesh/without-mesh.ts");
      const source = new FileSource({ clock, files, load: withoutMesh(load, host.name) }, file);
      return { source, membership: null, companion: null };
    }
    const source = new FileSource({ clock, files, load }, file);
    const [{ startGateway }, { certificates }] = await Promise.all([
      import("./node/mesh/start-member.ts"),
      import("./host/certificates/node.ts"),
    ]);
    const mesh = { openFolder, fetch, tryFilters: tryMeshFilters };
    const own = { clock, random, files, certificates, environment, stderr, pid: processes.pid };
    return startGateway({ ...own, ...mesh }, source);
  });
}

async function sidecar(given: SidecarArguments, command: readonly string[] | null): Promise<number> {
  const verb = command === null ? "sidecar" : "exec";
  const { openPrivateFolder: openFolder, secureFetch: fetch } = host;
  const { startCommand } = processes;
  if (openFolder === null || fetch === null || startCommand === null) return needsBun(verb);
  const [{ readSidecarRole }, { startSidecar }, { certificates }, routes] = await Promise.all([
    import("./node/mesh/sidecar-arguments.ts"),
    import("./node/mesh/start-member.ts"),
    import("./host/certificates/node.ts"),
    import("./host/datagrams/routes.ts"),
  ]);
  const format = terminal.interactive.error ? "text" : "json";
  const read = await readSidecarRole(given, { format, environment, tryBind: host.tryBind });
  if (typeof read === "string") {
    terminal.error(`clearway: ${read}`);
    return 1;
  }
  return serveNode(verb, 1, async ({ stderr, terminal: patient, probe }) => {
    const own = { clock, random, files, certificates, routes, environment };
    const mesh = { openFolder, fetch, tryFilters: tryMeshFilters };
    return startSidecar(
      { ...own, ...mesh, probe, stderr, pid: processes.pid, terminal: patient, startCommand },
      { read, given, command },
    );
  });
}

interface NodeBase {
  readonly stderr: Appender;
  readonly terminal: Terminal;
  readonly probe: Probe;
}

type NodeRole = Pick<NodeParts, "source" | "membership" | "companion">;

/** Its workers start before anything else is loaded. */
async function serveNode(
  verb: string,
  workers: RunOptions["workers"],
  give: (base: NodeBase) => Promise<NodeRole>,
): Promise<number> {
  const memory = await host.createSharedMemory(nodeMemoryBytes);
  const workersLimit = memory === null ? 1 : workersMax;
  const count = workers === "auto" ? Math.min(processes.cores, workersLimit) : workers;
  if (count > workersLimit) return needsBun(verb);
  // It stands in the Via field of every message, so it is short.
  const nodeId = random.id().slice(0, 12);
  const startWorker = (place: WorkerPlace) => new WorkerProcess({ processes, clock, nodeId, memory }, place);
  const first = Array.from({ length: count }, (_, seat) => startWorker({ number: seat + 1, seat }));
  const { installGlobals } = await import("./runtime/fetch/globals.ts");
  installGlobals();
  const [{ runNode }, { Resolver }, { createProbe }, { serveApp }, { defaultLimits: limits }, formatProblem] =
    await Promise.all([
      import("./node/supervisor.ts"),
      import("./node/dns/resolver.ts"),
      import("./runtime/probe.ts"),
      import("./runtime/app-listener.ts"),
      import("./config/limits.ts"),
      problemFormatter("error"),
    ]);
  const serve: NodeParts["serve"] = (address, app, log) =>
    serveApp({ sockets, clock, log }, { name: "admin", address, limits }, (request) => app.fetch(request));
  const patient = patientTerminal(appenders.open, appenders.flush);
  const { tryBind } = host;
  const parts = { clock, files, processes, terminal: patient, tryBind, stderr: appenders.open("stderr") };
  const probe = createProbe({ sockets, clock, programVersion });
  const own = {
    ...{ random, probe, programVersion, startWorker, formatProblem, serve },
    resolver: new Resolver({ ...parts, random, sockets, datagrams: systemDatagrams }),
    serviceManager: await host.serviceManager(environment.NOTIFY_SOCKET),
    memory: memory === null ? null : new NodeMemory(memory, random),
  };
  return runNode({ ...parts, ...own, ...(await give({ ...parts, probe })) }, { nodeId }, first);
}

async function check(file: string): Promise<Checked> {
  return checked(file, "check");
}

async function checked(
  file: string,
  purpose: "check" | "document",
): Promise<Checked & Pick<LoadedDocument, "document">> {
  const [load, formatProblem, { formatSummary }, { stringify }, contents] = await Promise.all([
    configLoader(file),
    problemFormatter("out"),
    import("./config/problem.ts"),
    import("yaml"),
    import("./cli/check.ts"),
  ]);
  const { snapshot, document, problems, resolved } = await load(recordReads(files).files, 1, purpose);
  const blocks = () => problems.map((problem) => `${formatProblem(problem)}\n`);
  const ofNode = snapshot === null ? null : contents.snapshotContents(snapshot);
  return {
    document,
    contents: document === null ? ofNode : contents.documentContents(document.config),
    problems,
    problemsText: () => [...blocks(), formatSummary(problems)].join("\n"),
    resolvedText: (format) =>
      (format === "yaml"
        ? stringify(resolved, { aliasDuplicateObjects: false })
        : JSON.stringify(resolved, null, 2)
      ).trimEnd(),
  };
}

async function schema(file: string | null, of: SchemaOf): Promise<number> {
  const [load, formatProblem] = await Promise.all([
    configLoader(file ?? (of === "document" ? "mesh.yaml" : "clearway.yaml")),
    problemFormatter("error"),
  ]);
  const {
    schema: made,
    problems,
    foreign,
  } = await load(recordReads(files).files, 1, of === "document" ? "document-schema" : "schema");
  // Of a config that nobody named only its own filters matter, if there is one at all.
  if (problems.length > 0 && (file !== null || foreign)) {
    for (const problem of problems) terminal.error(formatProblem(problem));
    return 1;
  }
  terminal.out(JSON.stringify(made, null, 2));
  return 0;
}

function needsBun(verb: string): number {
  terminal.error(
    `clearway: ${verb} needs Bun: this is ${host.name}, on which run (with one worker), check and schema work`,
  );
  return 1;
}

function onStop(stop: () => void): void {
  for (const name of ["SIGTERM", "SIGINT"] as const) processes.onSignal(name, stop);
}

async function filterFinding(): Promise<FindFilters> {
  const [{ filterFinder }, { filters: builtIn }] = await Promise.all([
    import("./node/filter-finder.ts"),
    import("./filters/index.ts"),
  ]);
  return filterFinder({ builtIn, clock, families: filterFamilies, userFilters });
}

/** Loaded when a config names a filter that is not built in. */
async function filterFamilies(): Promise<readonly FilterFamily[]> {
  const [{ honoFilters }, { npmFilters }, { untypedFactoryFilter: makeFilter }] = await Promise.all([
    import("./filters/hono/index.ts"),
    import("./node/npm-filters.ts"),
    import("./filters/factory.ts"),
  ]);
  return [honoFilters, npmFilters({ modules: host.modules, makeFilter })];
}

/** Loaded when a config names a file of its user. */
async function userFilters(): Promise<UserFilters> {
  const [{ UserFilters }, { pluginImports }] = await Promise.all([
    import("./node/plugins/user-filters.ts"),
    import("./plugin-imports.ts"),
  ]);
  loadedUserFilters ??= new UserFilters(await host.userCode(pluginImports));
  return loadedUserFilters;
}

/** Of what a mesh document brings. */
async function tryMeshFilters(given: GivenFilters): Promise<readonly Problem[]> {
  const { filtersTrial } = await import("./node/plugins/filters-trial.ts");
  return filtersTrial({ clock, processes, files, findFilters: filterFinding })(given);
}

async function configLoader(file: string) {
  const [{ configLoading }, options] = await Promise.all([
    import("./node/config-loading.ts"),
    loadingOptions(file),
  ]);
  return configLoading({ clock, processes }, options);
}

async function loadingOptions(file: string) {
  const [findFilters, { certificates }] = await Promise.all([
    filterFinding(),
    import("./host/certificates/node.ts"),
  ]);
  const knownNames = async () => (await filterFamilies()).flatMap(({ names }) => names);
  return { file, findFilters, certificates, clock, environment, knownNames };
}

async function problemFormatter(stream: "out" | "error"): Promise<(problem: Problem) => string> {
  const [{ formatProblem }, { problemPaint }] = await Promise.all([
    import("./config/problem.ts"),
    import("./cli/paint.ts"),
  ]);
  const paint = problemPaint({ interactive: terminal.interactive[stream], environment });
  return (problem) => formatProblem(problem, paint);
}
