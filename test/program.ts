/** The real program as a child process, on real sockets. */
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

export const root = join(import.meta.dirname, "..");

/** The program, or what CLEARWAY_PROGRAM names instead, e.g. the built binary. */
export const program = process.env.CLEARWAY_PROGRAM?.split(" ") ?? [
  process.execPath,
  join(root, "src/main.ts"),
];

/** For whatever a test waits for: the machine may be busy with others. */
const patienceMs = 60_000;

export interface Running {
  readonly pid: number;
  /** All that it printed until now, stdout and stderr together. */
  output(): string;
  readonly ended: Promise<number>;
  signal(name: "SIGUSR2"): void;
  /** Sends the signal, SIGTERM without one, and waits for the exit code. */
  stop(signal?: "SIGTERM" | "SIGINT"): Promise<number>;
}

export interface StartOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly folder?: string;
}

export function startClearway(args: readonly string[], options: StartOptions = {}): Running {
  return start([...program, ...args], options);
}

export function start(command: readonly string[], { environment, folder }: StartOptions = {}): Running {
  const child = Bun.spawn([...command], {
    cwd: folder ?? root,
    env: { ...process.env, NO_COLOR: "1", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) printed += decoder.decode(chunk, { stream: true });
  };
  const whole = Promise.all([collect(child.stdout), collect(child.stderr), child.exited]);
  const ended = whole.then(([, , code]) => code);
  return {
    pid: child.pid,
    output: () => printed,
    ended,
    signal: (name) => child.kill(name),
    stop: (signal = "SIGTERM") => {
      child.kill(signal);
      return ended;
    },
  };
}

/** Waits until the URL answers with 2xx; throws with the program's output when it ends or takes too long. */
export async function answers(url: string, running: Running): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  let code: number | null = null;
  void running.ended.then((ended) => {
    code = ended;
  });
  while (code === null && performance.now() < deadlineMs) {
    const answered = await fetch(url, { signal: AbortSignal.timeout(1000) }).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return;
    await setTimeout(20);
  }
  throw new Error(`${url} does not answer; exit code ${code}; printed:\n${running.output()}`);
}

/** Waits until the check holds; throws with what it saw last when it takes too long. */
export async function until<Value>(
  look: () => Promise<Value> | Value,
  holds: (value: Value) => boolean,
): Promise<Value> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const value = await look();
    if (holds(value)) return value;
    if (performance.now() > deadlineMs)
      throw new Error(`waited in vain; last seen: ${JSON.stringify(value)}`);
    await setTimeout(20);
  }
}
