/**
 * The command of `exec`, as a worker knows it. A supervisor that was killed ends nobody; the worker, which finishes its
 * requests and ends by itself then, asks the command to end too.
 */
import type { Processes } from "../machine.ts";

/** The clock of the machine may be set between two looks; no number of a process is used again so soon. */
const sameStartMs = 2_000;

export class LeftCommand {
  readonly #processes: Pick<Processes, "usage" | "askToEnd">;
  #pid: number | null = null;
  #startEpochMs: number | null = null;

  constructor(processes: Pick<Processes, "usage" | "askToEnd">) {
    this.#processes = processes;
  }

  /** Null when it has ended. */
  async is(pid: number | null): Promise<null> {
    this.#pid = pid;
    this.#startEpochMs = pid === null ? null : await this.#startOf(pid);
    return null;
  }

  /** Nobody is left in front of it. One that may be another process by now is let alone. */
  async end(): Promise<void> {
    const [pid, known] = [this.#pid, this.#startEpochMs];
    if (pid === null || known === null) return;
    const now = await this.#startOf(pid);
    if (now !== null && Math.abs(now - known) < sameStartMs) this.#processes.askToEnd(pid);
  }

  async #startOf(pid: number): Promise<number | null> {
    return (await this.#processes.usage(pid))?.startEpochMs ?? null;
  }
}
