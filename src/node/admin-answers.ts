/** What a running node answers on its admin address. */
import type { Address, Processes } from "../machine.ts";
import type { Problem, Snapshot } from "../snapshot.ts";
import type { Aggregator } from "../telemetry/index.ts";
import { hostOf } from "./addresses.ts";
import type { AdminSource } from "./admin.ts";
import type { ConfigSource } from "./config-source.ts";
import type { PluginGuard } from "./guard/plugin-guard.ts";
import { rollbackProblems } from "./guard/rollback-problems.ts";
import type { Membership } from "./membership.ts";
import { nodeGauges } from "./node-gauges.ts";
import { processFacts } from "./process-facts.ts";
import type { ServiceWatch } from "./service-watch/service-watch.ts";
import { snapshotView } from "./snapshot-view.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** What is so at the moment. */
export interface NodeNow {
  readonly stopping: boolean;
  /** Null before the first one is live. */
  readonly live: Snapshot | null;
  /** The live configuration with every default. */
  readonly resolved: unknown;
  /** Of the last refused configuration. */
  readonly problems: readonly Problem[];
  /** Where admin listens. */
  readonly admin: Address | null;
}

export interface AnswerParts {
  readonly nodeId: string;
  readonly programVersion: string;
  readonly processes: Processes;
  readonly source: ConfigSource;
  readonly membership: Membership | null;
  readonly aggregator: Aggregator;
  readonly pool: WorkerPool;
  readonly guard: PluginGuard;
  readonly services: ServiceWatch;
  now(): NodeNow;
}

export class AdminAnswers implements AdminSource {
  readonly #parts: AnswerParts;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  unready(): string | null {
    const { stopping, live } = this.#parts.now();
    if (stopping) return "the node is draining";
    if (live === null) return "the node is starting";
    return this.#parts.pool.lacking(live.version);
  }

  warnings(): readonly string[] {
    return this.#parts.membership?.warnings() ?? [];
  }

  problems(): readonly Problem[] {
    const { membership, guard, now } = this.#parts;
    const { live, problems } = now();
    return [...problems, ...(membership?.problems() ?? []), ...rollbackProblems(live, guard.rollbacks)];
  }

  bindHost(): string {
    const { live } = this.#parts.now();
    return live === null ? "" : hostOf(live.admin);
  }

  async metrics(): Promise<string> {
    const { pool, processes, membership, services, aggregator, programVersion: version } = this.#parts;
    await pool.measure();
    const facts = await processFacts(processes, pool.status);
    const { live } = this.#parts.now();
    const gauges = nodeGauges(live, membership, (service) => services.knowledge(service));
    return aggregator.render({ version, processes: facts, gauges });
  }

  async snapshot(): Promise<unknown> {
    const { nodeId, programVersion, source, membership, pool, guard, services, aggregator } = this.#parts;
    await pool.measure();
    const { live, resolved, admin } = this.#parts.now();
    return snapshotView({
      node: nodeId,
      programVersion,
      file: source.name,
      ...{ membership, live, resolved, admin },
      workers: await pool.report(),
      totals: aggregator.summary(),
      filterTotals: aggregator.filters(),
      rollbacks: guard.rollbacks,
      knowledge: (service) => services.knowledge(service),
    });
  }
}
