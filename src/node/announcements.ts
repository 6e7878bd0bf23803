/** What a node tells the person who runs it: friendly lines where one reads, the running log where a program does. */

import type { Address, Terminal } from "../machine.ts";
import type { Problem, Snapshot } from "../snapshot.ts";
import { addressText, listenerText } from "./addresses.ts";
import type { NodeLog } from "./log.ts";
import type { Applied, Outcome } from "./reloads.ts";

export interface AnnouncementParts {
  readonly terminal: Terminal;
  readonly log: NodeLog;
  /** In the layout of `clearway check`. */
  formatProblem(problem: Problem): string;
}

export interface StartFacts {
  readonly programVersion: string;
  readonly file: string;
  /** With the ports that the system chose. */
  readonly snapshot: Snapshot;
  readonly workers: number;
  readonly admin: Address | null;
  readonly tookMs: number;
  /** What is worth knowing of this machine. */
  readonly notes: readonly string[];
}

export class Announcements {
  readonly #parts: AnnouncementParts;

  constructor(parts: AnnouncementParts) {
    this.#parts = parts;
  }

  started(facts: StartFacts): void {
    const { out } = this.#parts.terminal;
    const workers = facts.workers === 1 ? "" : ` with ${facts.workers} workers`;
    const tookMs = Math.round(facts.tookMs);
    out(`clearway ${facts.programVersion} serves ${facts.file}${workers} (started in ${tookMs} ms)`);
    for (const { name, bind, protocol, routes } of facts.snapshot.listeners) {
      const address = listenerText(addressText(bind), protocol);
      out(`  listener ${name} on ${address} (${counted(routes.length, "route")})`);
    }
    if (facts.admin !== null) out(`  admin on ${listenerText(addressText(facts.admin), "http")}`);
    for (const note of facts.notes) out(`  ${note}`);
  }

  reloaded(outcome: Outcome, file: string, live: Snapshot): void {
    if (outcome.kind === "refused") this.#refused(outcome.problems, file, live);
    else if (outcome.kind === "applied") this.#applied(outcome, file, live);
    else this.#say(live, `${file} is again what version ${live.version} serves`);
  }

  #applied(outcome: Applied, file: string, live: Snapshot): void {
    const { version } = live;
    const tookMs = Math.round(outcome.tookMs);
    const heldMs = Math.ceil(outcome.held.longestMs);
    const heldTotalMs = Math.ceil(outcome.held.totalMs);
    if (this.#friendly(live)) {
      const how = `${tookMs} ms; it held requests for at most ${heldMs} ms`;
      this.#say(live, `${file} is live as version ${version} (${how})`);
      return;
    }
    const fields = { file, version, tookMs, heldMs, heldTotalMs };
    this.#parts.log.info("the configuration is live", fields);
  }

  #refused(problems: readonly Problem[], file: string, live: Snapshot): void {
    const { terminal, log, formatProblem } = this.#parts;
    const summary = `${file} has ${counted(problems.length, "problem")}; version ${live.version} keeps serving`;
    if (this.#friendly(live)) {
      for (const problem of problems) terminal.error(`${formatProblem(problem)}\n`);
      this.#say(live, summary);
      return;
    }
    for (const { file, line, column, path, message, hints } of problems) {
      const fields = { file, line, column, path, hints: hints.join("; ") };
      log.error(`${file}:${line}:${column} ${path === "" ? "" : `${path}: `}${message}`, fields);
    }
    log.error(summary, { file, version: live.version });
  }

  #say(live: Snapshot, text: string): void {
    if (this.#friendly(live)) this.#parts.terminal.error(`clearway: ${text}`);
    else this.#parts.log.info(text);
  }

  #friendly(live: Snapshot): boolean {
    return live.log.format === "text" || this.#parts.terminal.interactive.error;
  }
}

/** What a failed start says. A problem that no text of the file explains is one line. */
export function startFailure(
  problems: readonly Problem[],
  file: string,
  formatProblem: (problem: Problem) => string,
): string {
  if (problems.every(({ excerpt }) => excerpt === null)) {
    return problems.map((problem) => `clearway: ${oneLine(problem)}`).join("\n");
  }
  const blocks = problems.map((problem) => `${formatProblem(problem)}\n`);
  return [...blocks, `clearway: cannot start: ${file} has ${counted(problems.length, "problem")}`].join("\n");
}

function oneLine({ message, path, file, line }: Problem): string {
  return path === "" ? message : `${message} (${path}, ${file}:${line})`;
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
