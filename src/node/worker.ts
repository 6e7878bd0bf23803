/** The process that carries requests: a runtime, and the answers to what its supervisor asks. */

import type { ParentChannel, Processes } from "../machine.ts";
import type { ApplyResult, Runtime, RuntimeParts } from "../runtime/runtime.ts";
import { bothHeld } from "../runtime/slices.ts";
import type { Snapshot } from "../snapshot.ts";
import type { WorkerMeters } from "../telemetry/index.ts";
import type { Appender } from "../types.ts";
import { LeftCommand } from "./left-command.ts";
import { createLog, errorText, type NodeLog } from "./log.ts";
import type { Answer, Question, QuestionKind, Questions, Wanted } from "./messages.ts";
import { ReceivedParts } from "./parts.ts";

export interface WorkerParts extends Omit<RuntimeParts, "log" | "want"> {
  /** 1, 2 …: what people call this worker. */
  readonly number: number;
  readonly meters: WorkerMeters;
  readonly processes: Processes;
  readonly parent: ParentChannel;
  readonly appenders: {
    open(path: string): Appender;
    readonly dropped: number;
    flush(): Promise<void>;
  };
  createRuntime(parts: RuntimeParts): Runtime;
}

/** A turn of the event loop that takes more processor time never ends, and the supervisor may not be there to see it. */
const turnCpuMsMax = 30_000;
const turnPeriodMs = 1000;

type Answers = {
  [Kind in QuestionKind]: (ask: Questions[Kind]["ask"]) => Promise<Questions[Kind]["answer"]>;
};

/** Serves until the supervisor ends this process, or is gone. */
export function runWorker(parts: WorkerParts): void {
  const { processes, parent, meters, appenders } = parts;
  const stderr = appenders.open("stderr");
  const fields = { process: "worker", worker: parts.number, pid: processes.pid };
  const log = createLog((line) => stderr.line(line), fields);
  surviveErrors(parts, log);
  ignoreSignals(processes);

  shareProcessor(parts);

  const want = (service: string) => parent.send({ kind: "wanted", service } satisfies Wanted);
  const runtime = parts.createRuntime({ ...parts, log, want });
  let live: Snapshot | null = null;
  const received = new ReceivedParts(parts.clock);
  const command = new LeftCommand(processes);
  let droppedBefore = 0;
  const answers: Answers = {
    part: async (text) => received.add(text),
    async apply(rest) {
      const { snapshot, held } = received.take(rest);
      const result = await applied(runtime, snapshot);
      if (!result.ok) return result;
      live = snapshot;
      log.configure(snapshot.log);
      return { ok: true, held: bothHeld(held, result.held) };
    },
    async measure() {
      droppedBefore = sayDropped(appenders.dropped, droppedBefore, log);
      return { measured: meters.delta(), ejections: runtime.takeEjections() };
    },
    async services(states) {
      runtime.updateServices(states);
      return null;
    },
    async missing(services) {
      runtime.servicesMissing(services);
      return null;
    },
    report: async () => runtime.report(),
    command: (pid) => command.is(pid),
    leave: async ({ listener, stage }) => runtime.leave(listener, stage),
    async drain({ timeoutMs }) {
      const { forced } = await runtime.drain(timeoutMs);
      await appenders.flush();
      return { forced, measured: meters.delta() };
    },
  };
  parent.onMessage(inTurn(answers, parent, log));

  parent.onClosed(async () => {
    log.warn("the supervisor is gone; finishing");
    if (live !== null) await runtime.drain(live.drainMs);
    await command.end();
    await appenders.flush();
    processes.exit(0);
  });
}

/** A terminal's Ctrl-C and a service manager's SIGTERM reach every process of the node: the supervisor alone acts. */
function ignoreSignals(processes: Processes): void {
  for (const name of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"] as const) processes.onSignal(name, () => {});
}

function shareProcessor({ clock, processes }: WorkerParts): void {
  // With the supervisor, too: requests are not to wait until it has read a new config.
  void processes.shortenTimeSlice();
  const turn = () => processes.endAfterBusy(turnCpuMsMax);
  turn();
  clock.every(turnPeriodMs, turn);
}

/** An error that should not be is a refusal too: the runtime serves what it served. */
async function applied(runtime: Runtime, snapshot: Snapshot): Promise<ApplyResult> {
  try {
    return await runtime.apply(snapshot);
  } catch (error) {
    const place = snapshot.listeners[0]?.place ?? { file: "", line: 1 };
    return { ok: false, problems: [{ place, message: errorText(error) }] };
  }
}

function sayDropped(dropped: number, before: number, log: NodeLog): number {
  if (dropped > before) {
    log.warn("log lines were dropped: the disk or the reader is too slow", { lines: dropped - before });
  }
  return dropped;
}

/** Changes of the runtime follow each other; questions about it are answered at once. */
function inTurn(answers: Answers, parent: ParentChannel, log: NodeLog): (message: unknown) => void {
  let changes: Promise<unknown> = Promise.resolve();
  return (received) => {
    const { kind, id, ask } = received as Question;
    const answer = answers[kind] as (ask: unknown) => Promise<Questions[QuestionKind]["answer"]>;
    const answered = kind === "apply" || kind === "drain" ? changes.then(() => answer(ask)) : answer(ask);
    const sent = answered.then(
      (value) => parent.send({ kind, id, answer: value } as Answer),
      (error) => log.error(`cannot answer "${kind}"`, { error: errorText(error) }),
    );
    if (kind === "apply" || kind === "drain") changes = sent;
  };
}

/** An error that escaped from one request must not end the others. */
function surviveErrors(parts: WorkerParts, log: NodeLog): void {
  parts.processes.onUncaught((error) => {
    log.error("an error that nothing caught", { error: errorText(error) });
    parts.meters.count("clearway_uncaught_errors_total", "Errors in a worker that nothing caught.");
  });
}
