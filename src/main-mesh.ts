/** What main gives the verbs of a mesh: the coordinator, and those that ask one. */
import type { LoadedDocument } from "./cli/apply.ts";
import type { Verbs } from "./cli/command-line.ts";
import type { CoordinatorArguments } from "./cli/coordinator.ts";
import type { OperatorAccess, OperatorCalls } from "./cli/operator.ts";
import type { FindFilters } from "./filter-lookup.ts";
import type { Host } from "./host/host.ts";
import type { Clock, Files, Processes, Random, Terminal } from "./machine.ts";
import type { ReadDocument } from "./node/document-source.ts";
import type { ReadingPurpose } from "./node/plugins/trial-messages.ts";
import type { NotedFiles } from "./node/readings.ts";
import type { Problem } from "./snapshot.ts";
import type { Appender } from "./types.ts";

export interface MeshBase {
  readonly host: Host;
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly terminal: Terminal;
  readonly stderr: () => Appender;
  readonly environment: Processes["environment"];
  readonly programVersion: string;
  configLoader(
    file: string,
  ): Promise<(files: NotedFiles, version: number, purpose: ReadingPurpose) => Promise<ReadDocument>>;
  findFilters(): Promise<FindFilters>;
  problemFormatter(stream: "out" | "error"): Promise<(problem: Problem) => string>;
  checked(file: string, purpose: "document"): Promise<LoadedDocument>;
  needsBun(verb: string): number;
  onStop(stop: () => void): void;
}

export function meshVerbs(base: MeshBase): Pick<Verbs, "coordinator" | "token" | "documents" | "get"> {
  const { terminal, clock, environment } = base;
  const operator: OperatorAccess = (coordinator) => operatorCalls(base, coordinator);
  const durations = () => import("./units.ts");
  return {
    coordinator: (given) => coordinate(base, given),
    token: { terminal, operator, durations },
    get: { terminal, operator, clock, durations },
    documents: {
      terminal,
      operator,
      clock,
      paint: async () =>
        (await import("./cli/paint.ts")).styledPaint({ interactive: terminal.interactive.out, environment }),
      load: (file) => base.checked(file, "document"),
      difference: async (before, after) =>
        (await import("./config/mesh/difference.ts")).difference(before, after),
    },
  };
}

async function operatorCalls(base: MeshBase, coordinator: string): Promise<OperatorCalls> {
  const { clock, files, environment, host } = base;
  const { secureFetch: fetch } = host;
  if (fetch === null) throw new Error(`this needs Bun, and runs on ${host.name}`);
  const { operatorAccess } = await import("./coordinator-client/operator-access.ts");
  return operatorAccess({ clock, fetch, files, environment }, coordinator);
}

async function coordinate(base: MeshBase, given: CoordinatorArguments): Promise<number> {
  const { clock, random, terminal, stderr, host } = base;
  const { openPrivateFolder: openFolder, database, sockets } = host;
  if (openFolder === null || database === null) return base.needsBun("coordinator");
  const { installGlobals } = await import("./runtime/fetch/globals.ts");
  installGlobals();
  const [
    { runCoordinator, handshakeTimeoutMs },
    openDatabase,
    { serveApp },
    { defaultLimits: limits },
    { createLog },
  ] = await Promise.all([
    import("./coordinator/run.ts"),
    database(),
    import("./runtime/app-listener.ts"),
    import("./config/limits.ts"),
    import("./node/log.ts"),
  ]);
  const listenerLimits = { ...limits, handshakeTimeoutMs };
  const lines = stderr();
  const log = createLog((line) => lines.line(line), { role: "coordinator" });
  log.configure({ level: "info", format: terminal.interactive.error ? "text" : "json" });
  return runCoordinator(
    {
      ...base,
      log,
      random,
      openDatabase,
      openFolder,
      document: given.config === null ? null : await documentIn(base, given.config),
      checkFiles: async (files) => {
        const [{ checkFiles }, findFilters, { certificates }] = await Promise.all([
          import("./coordinator/documents/files.ts"),
          base.findFilters(),
          import("./host/certificates/node.ts"),
        ]);
        return checkFiles(files, { findFilters, certificates, clock });
      },
      serve: (address, tls, app) =>
        serveApp(
          { sockets, clock, log },
          { name: "coordinator", address, limits: listenerLimits, tls },
          (request, env) => app.fetch(request, env),
        ),
    },
    given,
  );
}

async function documentIn(base: MeshBase, file: string) {
  const [{ DocumentSource }, load, formatProblem, { formatSummary }] = await Promise.all([
    import("./node/document-source.ts"),
    base.configLoader(file),
    base.problemFormatter("error"),
    import("./config/problem.ts"),
  ]);
  const source = new DocumentSource({ ...base, load: (noted) => load(noted, 1, "document") });
  return {
    file,
    watch: (changed: () => void) => source.watch(changed),
    close: () => source.close(),
    async read() {
      const { document, problems } = await source.read();
      if (document !== null) return { document };
      const blocks = problems.map((problem) => `${formatProblem(problem)}\n`);
      return { document, problemsText: [...blocks, formatSummary(problems)].join("\n") };
    },
  };
}
