/** What the demo is given. */
import type { Clock, Random, Terminal } from "../machine.ts";

/** A gateway that runs as a process of its own. */
export interface DemoNode {
  /** Its exit code, whenever it ends; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Asks it to drain and to end; `ended` follows. Asking again does nothing. */
  stop(): void;
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
  /** A loopback port that nothing listens on: the preferred one if it is free. */
  freePort(preferred: number): Promise<number>;
  /**
   * Starts `clearway run -c configPath`; all that it prints goes to the file at `logPath`. It stands in a process
   * group of its own: Ctrl-C reaches the demo alone, which ends the traffic first.
   */
  startNode(configPath: string, logPath: string): DemoNode;
  /** Calls back at Ctrl-C or SIGTERM, which then do nothing else. */
  onStop(run: () => void): void;
}

export interface DemoOptions {
  /** Null runs until it is stopped. */
  readonly forMs: number | null;
}
