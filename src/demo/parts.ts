/** What the demo is given. */
import type { Clock, Random, Terminal } from "../machine.ts";

/** A process of the program that runs beside the demo, in a group of its own: Ctrl-C reaches the demo alone. */
export interface DemoProcess {
  readonly pid: number;
  /** Its exit code, whenever it ends; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Asks it to finish and to end; `ended` follows. Asking again does nothing. */
  stop(): void;
  /** Ends it and all that it started, at once, as a crash of the machine would. */
  kill(): void;
}

/** What the demo asks the coordinator for, with the operator's token of its folder. Rejects when it cannot. */
export interface Operator {
  get<Answer>(path: string): Promise<Answer>;
  post<Answer>(path: string, body: object): Promise<Answer>;
}

export type PaintStyle = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";

export interface DemoParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly terminal: Terminal;
  /** Colours a text, or gives it back as it is where nobody would see the colour. */
  paint(style: PaintStyle, text: string): string;
  fetch(url: string, init?: RequestInit): Promise<Response>;
  /** An empty folder, absolute; whoever made it removes it. */
  readonly folder: string;
  /** Replaces the file as an editor does: a reader sees the old text or the new one. */
  writeFile(path: string, text: string): Promise<void>;
  readFile(path: string): Promise<string>;
  /** A loopback port that nothing listens on: the preferred one if it is free. */
  freePort(preferred: number): Promise<number>;
  /** Starts `clearway ARGS` in the folder; all that it prints goes to the file at `logPath`. */
  start(args: readonly string[], logPath: string): DemoProcess;
  /** Before the coordinator is there, it rejects. */
  operator(coordinatorUrl: string): Promise<Operator>;
  /** Calls back at Ctrl-C or SIGTERM, which then do nothing else. */
  onStop(run: () => void): void;
}

export interface DemoOptions {
  /** Null runs until it is stopped. */
  readonly forMs: number | null;
}
