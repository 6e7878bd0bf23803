/** A command that runs beside a node and ends with it: what `exec` is about. */
import type { Address, Clock, ProcessEnd, SignalName } from "../machine.ts";
import type { Snapshot } from "../snapshot.ts";
import { addressText } from "./addresses.ts";

export interface RunningCommand {
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  signal(name: SignalName | "SIGKILL"): void;
}

export interface CompanionParts {
  readonly clock: Clock;
  /** Throws an Error that says why it cannot be started. */
  start(command: readonly string[], environment: Readonly<Record<string, string>>): RunningCommand;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What the command's environment gets besides that and the proxy. */
  readonly variables: Readonly<Record<string, string>>;
  /** Whether a terminal sends its SIGINT to this process and to the command alike. */
  readonly terminal: "shared" | "none";
  error(text: string): void;
}

/** What a shell answers for a command that it cannot start, and for one that a signal ended. */
const notStartedCode = 127;
const signalledCode = 128;
const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};
/** Never by way of the proxy, whatever else the environment says. */
const local = ["localhost", "127.0.0.1", "::1"];

export class Companion {
  /** Its exit code. */
  readonly ended: Promise<number>;
  readonly #parts: CompanionParts;
  readonly #command: readonly string[];
  readonly #ending = Promise.withResolvers<number>();
  #running: RunningCommand | null = null;

  constructor(parts: CompanionParts, command: readonly string[]) {
    this.#parts = parts;
    this.#command = command;
    this.ended = this.#ending.promise;
  }

  /** The node serves this. */
  start({ listeners }: Snapshot): void {
    const { start, environment, variables, error } = this.#parts;
    const outbound = listeners.find(({ name }) => name === "outbound");
    const proxied = outbound === undefined ? {} : proxyVariables(outbound.bind, environment);
    try {
      this.#running = start(this.#command, { ...proxied, ...variables });
    } catch (failure) {
      error(`clearway: cannot run ${this.#command[0]}: ${(failure as Error).message}`);
      this.#ending.resolve(notStartedCode);
      return;
    }
    void this.#running.ended.then((end) => this.#ending.resolve(exitCode(end)));
  }

  /** Null before it runs, and when it could not be started. */
  get pid(): number | null {
    return this.#running?.pid ?? null;
  }

  signal(name: SignalName): void {
    if (name === "SIGINT" && this.#parts.terminal === "shared") return;
    this.#running?.signal(name);
  }

  /** Asks it to end, and ends it after `timeoutMs`. Returns its exit code; 0 when it never began. */
  async end(name: SignalName, timeoutMs: number): Promise<number> {
    if (this.#running === null) this.#ending.resolve(0);
    this.signal(name);
    const cancel = this.#parts.clock.after(timeoutMs, () => this.#running?.signal("SIGKILL"));
    const code = await this.ended;
    cancel();
    return code;
  }

  kill(): void {
    this.#running?.signal("SIGKILL");
  }
}

/** For clients that obey them; what the environment excepts stays excepted. */
export function proxyVariables(
  outbound: Address,
  environment: CompanionParts["environment"],
): Readonly<Record<string, string>> {
  const proxy = `http://${addressText(outbound)}`;
  const excepted = environment.NO_PROXY ?? environment.no_proxy ?? "";
  const all = [...new Set([...excepted.split(",").map((host) => host.trim()), ...local])];
  const secure = environment.HTTPS_PROXY ?? environment.https_proxy ?? proxy;
  const direct = all.filter((host) => host !== "").join(",");
  return {
    HTTP_PROXY: proxy,
    http_proxy: proxy,
    // Hosts outside by way of the node too, so that `egress` holds for them; one that is there leads somewhere for a reason.
    HTTPS_PROXY: secure,
    https_proxy: secure,
    NO_PROXY: direct,
    no_proxy: direct,
    // Node from 22.21 and 24 obeys the others only then.
    NODE_USE_ENV_PROXY: "1",
  };
}

function exitCode({ code, signal }: ProcessEnd): number {
  return code ?? signalledCode + (signalNumbers[signal ?? ""] ?? 0);
}
