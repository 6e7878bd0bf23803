/** What the verbs of operators have in common: they ask a coordinator, and say in a line why it would not. */
import { Option } from "commander";
import type { Terminal } from "../machine.ts";

/** Every call rejects with an Error whose message says to people what happened and what to do. */
export interface OperatorCalls {
  get<Answer>(path: string): Promise<Answer>;
  post<Answer>(path: string, body: object): Promise<Answer>;
  put<Answer>(path: string, body: object): Promise<Answer>;
}

/** `coordinator` as the user wrote it. Rejects like its calls. */
export type OperatorAccess = (coordinator: string) => Promise<OperatorCalls>;

export const coordinatorDefault = "https://127.0.0.1:9800";

export function coordinatorOption(): Option {
  return new Option("--coordinator <url>", "the coordinator; several with commas between").default(
    coordinatorDefault,
  );
}

/** One JSON document on stdout and nothing else there, for `json`. */
export function outputOption(): Option {
  return new Option("-o, --output <form>", "how it is printed").choices(["text", "json"]).default("text");
}

/** Returns the exit code. */
export async function orSayWhy(terminal: Terminal, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    terminal.error(`clearway: ${(error as Error).message}`);
    return 1;
  }
}
