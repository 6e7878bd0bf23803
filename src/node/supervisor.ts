/** A node: reads the configuration, keeps its workers with it, serves admin, and ends in order. */

import type { Address, Clock, Files, Processes, Random, ServiceManager, Terminal } from "../machine.ts";
import type { AppListener } from "../runtime/app-listener.ts";
import type { NodeMemory } from "../runtime/node-memory/index.ts";
import type { Probe } from "../runtime/probe.ts";
import type { ApplyProblem } from "../runtime/runtime.ts";
import type { Problem, Snapshot, SourcePlace } from "../snapshot.ts";
import { type Aggregator, createAggregator } from "../telemetry/index.ts";
import type { Appender } from "../types.ts";
import {
  type Binding,
  bindingProblem,
  ChosenPorts,
  listenFailure,
  plainProblem,
  refusedBindings,
  type TryBind,
} from "./addresses.ts";
import { type AdminApp, adminApp } from "./admin.ts";
import { AdminAnswers } from "./admin-answers.ts";
import { AdminServer, type PreparedMove } from "./admin-server.ts";
import { Announcements, startFailure } from "./announcements.ts";
import { CertificateWatch } from "./certificate-watch.ts";
import type { Companion } from "./companion.ts";
import type { ConfigSource } from "./config-source.ts";
import { Departure } from "./departure.ts";
import type { Resolver } from "./dns/resolver.ts";
import { PluginGuard } from "./guard/plugin-guard.ts";
import { rollbackHints } from "./guard/rollback-problems.ts";
import { createLog, errorText, type NodeLog } from "./log.ts";
import type { Membership } from "./membership.ts";
import { type Activation, Reloads, type RightConfig } from "./reloads.ts";
import { ServiceStatus } from "./service-status.ts";
import { ServiceWatch } from "./service-watch/service-watch.ts";
import { systemNotes } from "./system-notes.ts";
import { Termination, type TerminationCause } from "./termination.ts";
import { WorkerPool } from "./worker-pool.ts";
import type { WorkerPlace, WorkerProcess } from "./worker-process.ts";

export interface NodeParts {
  readonly clock: Clock;
  readonly files: Files;
  readonly processes: Processes;
  readonly terminal: Terminal;
  readonly stderr: Appender;
  readonly tryBind: TryBind;
  readonly programVersion: string;
  readonly random: Random;
  readonly resolver: Pick<Resolver, "find" | "configure">;
  readonly probe: Probe;
  readonly serviceManager: ServiceManager;
  /** Null when workers share none: then there is one. */
  readonly memory: NodeMemory | null;
  startWorker(place: WorkerPlace): WorkerProcess;
  readonly source: ConfigSource;
  /** Null outside a mesh. */
  readonly membership: Membership | null;
  /** Null where none runs beside the node. */
  readonly companion: Companion | null;
  formatProblem(problem: Problem): string;
  /** Rejects as `Sockets.listen` does. */
  serve(address: Address, app: AdminApp, log: NodeLog): Promise<AppListener>;
}

export interface NodeOptions {
  readonly nodeId: string;
}

/** Of the time to drain, for the connections of an app to its sidecar: they end last. */
const appConnectionsMs = 1_000;

/** Runs until a signal ends it; returns the exit code. `first` were started before this code was loaded. */
export async function runNode(
  parts: NodeParts,
  options: NodeOptions,
  first: readonly WorkerProcess[],
): Promise<number> {
  return new Supervisor(parts, options, first).run();
}

class Supervisor {
  readonly #parts: NodeParts;
  readonly #options: NodeOptions;
  readonly #log: NodeLog;
  readonly #announcements: Announcements;
  readonly #aggregator: Aggregator = createAggregator();
  readonly #pool: WorkerPool;
  readonly #guard: PluginGuard;
  readonly #services: ServiceWatch;
  readonly #certificates: CertificateWatch;
  readonly #admin: AdminServer;
  readonly #status: ServiceStatus;
  readonly #ports: ChosenPorts;
  readonly #startedAtMs: number;
  readonly #termination = new Termination();
  /** Nobody waits for anything any more. */
  readonly #cutOff = Promise.withResolvers<void>();
  #live: Snapshot | null = null;
  #resolved: unknown = null;
  #reloads: Reloads | null = null;

  constructor(parts: NodeParts, options: NodeOptions, first: readonly WorkerProcess[]) {
    this.#parts = parts;
    this.#options = options;
    this.#startedAtMs = parts.clock.now();
    this.#log = createLog((line) => parts.stderr.line(line), {
      process: "supervisor",
      pid: parts.processes.pid,
    });
    this.#announcements = new Announcements({ ...parts, log: this.#log });
    this.#pool = new WorkerPool(
      {
        clock: parts.clock,
        log: this.#log,
        start: parts.startWorker,
        onMeasured: (process, measured) => this.#aggregator.add(process.pid, measured),
        onEjections: (_process, ejections) => this.#services.onEjections(ejections),
        // Outside a mesh there are no services to be found.
        find: async (services) => parts.membership?.find(services) ?? services,
        onSilent: (process) => this.#guard.silent(process),
        onEnded: (process) => this.#forget(process),
      },
      first,
    );
    this.#guard = this.#makeGuard();
    this.#services = new ServiceWatch({
      ...parts,
      registry: parts.membership?.registry ?? null,
      log: this.#log,
      find: (dns) => parts.resolver.find(dns),
      configureResolver: (config) => parts.resolver.configure(config),
      lookedUp: (service, result) => this.#aggregator.lookedUp(service, result),
      checked: (service, result) => this.#aggregator.checked(service, result),
      update: (states) => {
        this.#pool.updateServices(states);
        parts.membership?.observed(states);
      },
    });
    this.#certificates = new CertificateWatch(parts.clock, this.#log);
    this.#status = new ServiceStatus({
      clock: parts.clock,
      manager: parts.serviceManager,
      environment: parts.processes.environment,
    });
    this.#ports = new ChosenPorts(parts.tryBind);
    this.#admin = new AdminServer((address) => parts.serve(address, this.#adminApp(), this.#log));
  }

  #makeGuard(): PluginGuard {
    const { clock, memory, processes } = this.#parts;
    return new PluginGuard({
      ...{ clock, log: this.#log, memory, pool: this.#pool },
      usage: (pid) => processes.usage(pid),
      totals: () => this.#aggregator.filters(),
      live: () => this.#live,
      change: (other) => this.#reloads?.change(other),
      onRolledBack: (snapshot, { plugin, cause }) => {
        this.#live = snapshot;
        this.#aggregator.pluginRolledBack(plugin, cause);
        this.#status.serves(snapshot.version);
      },
      onForgotten: (plugin, version) => this.#aggregator.forgetFilter(plugin, version),
    });
  }

  async run(): Promise<number> {
    this.#hearSignals();
    const problems = await Promise.race([this.#start(), this.#termination.begun.then((): Problem[] => [])]);
    const { companion, formatProblem, source, terminal } = this.#parts;
    if (problems.length > 0) {
      const explained = problems.map((problem) => source.explained(problem));
      terminal.error(startFailure(explained, source.name, formatProblem));
      this.#pool.kill();
      return 1;
    }
    if (companion !== null && !this.#termination.stopping) {
      companion.start(this.#live!);
      this.#pool.accompany(companion.pid);
      void companion.ended.then(() => {
        this.#pool.accompany(null);
        this.#terminate("command");
      });
    }
    await this.#termination.begun;
    return this.#end();
  }

  #hearSignals(): void {
    const { companion, processes } = this.#parts;
    processes.onUncaught((error) =>
      this.#log.error("an error that nothing caught", { error: errorText(error) }),
    );
    processes.onSignal("SIGTERM", () => this.#terminate("SIGTERM"));
    processes.onSignal("SIGINT", () => this.#terminate("SIGINT"));
    // Whoever started this node and listens to it, as the demo does, does not leave it behind.
    processes.parent?.onClosed(() => this.#terminate("SIGTERM"));
    // Of a node with a command, whoever signals it means the command.
    const forward = (name: "SIGHUP" | "SIGUSR2") => companion?.signal(name);
    processes.onSignal("SIGHUP", () =>
      companion === null ? this.#reloads?.request("signal") : forward("SIGHUP"),
    );
    processes.onSignal("SIGUSR2", () => (companion === null ? this.#replaceWorkers() : forward("SIGUSR2")));
  }

  async #start(): Promise<readonly Problem[]> {
    const { clock, source } = this.#parts;
    const loaded = await source.load(1);
    if (loaded.snapshot === null) return loaded.problems;
    const activation = await this.#activate({ ...loaded, snapshot: loaded.snapshot });
    if (!activation.ok) return activation.problems;
    this.#reloads = new Reloads(
      {
        clock,
        load: (version) => source.load(version),
        activate: (config) => this.#activate(config),
        onRead: (reading) => source.follow(reading),
        onOutcome: (outcome) => {
          if (outcome.kind === "refused") this.#aggregator.reloadRefused();
          if (outcome.kind === "applied") this.#aggregator.reloadApplied(outcome);
          this.#announcements.reloaded(outcome, source.name, this.#live!);
          if (outcome.kind === "refused") this.#status.refused(outcome.problems.length, this.#live!.version);
          else this.#status.serves(this.#live!.version);
        },
        onError: (error) => this.#log.error("a reload failed", { error: errorText(error) }),
      },
      { reading: loaded.reading, version: loaded.snapshot.version },
    );
    source.watch(() => this.#reloads?.request("changed"));
    await this.#announceStart(this.#live!);
    this.#status.serves(loaded.snapshot.version);
    await source.follow(loaded.reading);
    return [];
  }

  /** All of it, or nothing and the reasons. */
  async #activate({ snapshot: checked, resolved }: RightConfig): Promise<Activation> {
    const snapshot = await this.#ports.settle(this.#guard.settle(checked));
    const problems = await this.#bindingProblems(snapshot);
    if (problems.length > 0) return { ok: false, problems };
    let move: PreparedMove;
    try {
      move = await this.#admin.prepare(snapshot.admin);
    } catch (error) {
      const binding = { address: snapshot.admin, path: "admin", place: this.#wholeFile };
      return { ok: false, problems: [bindingProblem({ ...binding, reason: listenFailure(error) })] };
    }
    // What is said of its services is to look as the config wants.
    if (this.#live === null) this.#log.configure(snapshot.log);
    const services = await this.#services.prepare(snapshot);
    const result = await this.#pool.apply(snapshot);
    if (result?.ok !== true) {
      move.abandon();
      services.abandon();
      return { ok: false, problems: this.#applyProblems(result?.problems ?? null) };
    }
    move.commit();
    services.commit();
    this.#live = snapshot;
    this.#guard.applied(checked);
    this.#resolved = resolved;
    this.#log.configure(snapshot.log);
    this.#certificates.follow(snapshot);
    this.#parts.membership?.serves(snapshot);
    return result;
  }

  #applyProblems(problems: readonly ApplyProblem[] | null): Problem[] {
    const hints = rollbackHints(this.#guard.rollbacks);
    if (problems !== null) {
      return problems.map(({ message, place }) => ({ ...plainProblem(message, place), hints }));
    }
    return [plainProblem("a worker ended while it made this configuration live", this.#wholeFile)];
  }

  async #bindingProblems(snapshot: Snapshot): Promise<Problem[]> {
    const wanted = snapshot.listeners.map(
      ({ name, bind, place }): Binding => ({ address: bind, path: `listeners.${name}.bind`, place }),
    );
    const held = this.#live?.listeners.map(({ bind }) => bind) ?? [];
    if (this.#live !== null) held.push(this.#live.admin);
    const refused = await refusedBindings(this.#parts.tryBind, wanted, held);
    return refused.map(bindingProblem);
  }

  async #announceStart(snapshot: Snapshot): Promise<void> {
    const { clock, files, membership, programVersion } = this.#parts;
    this.#announcements.started({
      programVersion,
      file: this.#parts.source.name,
      snapshot,
      workers: this.#pool.status.length,
      admin: this.#admin.address,
      tookMs: clock.now() - this.#startedAtMs,
      notes: [...(membership?.notes() ?? []), ...(await systemNotes(files, snapshot))],
    });
  }

  /** Returns how many connections it had open. */
  #forget({ pid, seat, dismissed }: WorkerProcess): number | null {
    const { memory } = this.#parts;
    const connections = memory?.connectionsOf(seat) ?? null;
    memory?.forget(seat);
    this.#aggregator.forget(pid);
    if (!dismissed) this.#aggregator.workerDied(connections ?? 0);
    return connections;
  }

  #replaceWorkers(): void {
    if (!this.#termination.stopping && this.#live !== null) this.#pool.replaceAll();
  }

  #adminApp(): AdminApp {
    const answers = new AdminAnswers({
      ...this.#parts,
      ...{ aggregator: this.#aggregator, pool: this.#pool, guard: this.#guard, services: this.#services },
      nodeId: this.#options.nodeId,
      now: () => ({
        stopping: this.#termination.stopping,
        live: this.#live,
        resolved: this.#resolved,
        problems: this.#reloads?.problems ?? [],
        admin: this.#admin.address,
      }),
    });
    return adminApp(answers);
  }

  get #wholeFile(): SourcePlace {
    return { file: this.#parts.source.name, line: 1 };
  }

  #terminate(cause: TerminationCause): void {
    if (this.#termination.hear(cause) === "in order") return;
    this.#parts.companion?.kill();
    this.#pool.kill();
    this.#cutOff.resolve();
  }

  async #end(): Promise<number> {
    const { clock, companion, membership, source, terminal } = this.#parts;
    this.#status.stopping();
    this.#guard.close();
    source.unwatch();
    await this.#reloads?.close();
    const drainMs = this.#live?.drainMs ?? 0;
    const endsAtMs = clock.now() + drainMs;
    const leftMs = () => Math.max(0, endsAtMs - clock.now());
    terminal.error(`clearway: draining (at most ${drainMs / 1000} s; a second signal ends it now)`);
    if (membership !== null) await Promise.race([this.#depart(membership, leftMs), this.#cutOff.promise]);
    const code = companion === null ? 0 : await companion.end(this.#termination.signal, leftMs());
    await this.#pool.drain(leftMs());
    this.#services.close();
    this.#certificates.close();
    await membership?.close();
    await this.#admin.close();
    this.#status.ended();
    return code;
  }

  /** The app calls others by this node until it has answered its own callers, and until it ends. */
  async #depart(membership: Membership, leftMs: () => number): Promise<void> {
    const { clock, companion } = this.#parts;
    const leave: WorkerPool["leave"] = (listener, stage) => this.#pool.leave(listener, stage);
    const departure = new Departure({ clock, membership, leave });
    void companion?.ended.then(() => departure.refuse());
    await departure.begin(leftMs() / 2);
    await departure.finish(companion === null ? leftMs() - appConnectionsMs : leftMs() / 2);
  }
}
