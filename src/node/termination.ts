/** Why a node ends, and how soon. */

/** `command`: the one that runs beside it ended by itself. */
export type TerminationCause = "SIGTERM" | "SIGINT" | "command";

export class Termination {
  readonly #begun = Promise.withResolvers<void>();
  #cause: TerminationCause | null = null;

  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  get stopping(): boolean {
    return this.#cause !== null;
  }

  /** For the command beside the node. */
  get signal(): "SIGTERM" | "SIGINT" {
    return this.#cause === "SIGINT" ? "SIGINT" : "SIGTERM";
  }

  /** The second signal ends it now; the end of a command is none, so one that comes after it is the first. */
  hear(cause: TerminationCause): "in order" | "now" {
    const before = this.#cause;
    if (before === null || cause !== "command") this.#cause = cause;
    this.#begun.resolve();
    return before === null || before === "command" || cause === "command" ? "in order" : "now";
  }
}
