import type { OpenDatabase } from "../database.ts";
import type {
  Address,
  Modules,
  OpenPrivateFolder,
  PartedMemory,
  ProcessEnd,
  Processes,
  ProvidedModules,
  SecureFetch,
  ServiceManager,
  SharedMemory,
  SignalName,
  Sockets,
  UserCode,
} from "../machine.ts";

/** What differs between hosts; what is the same on all of them is imported where it is needed. */
export interface Host {
  /** With its version, as a message names it: `Bun 1.4.5`. */
  readonly name: string;
  readonly sockets: Sockets;
  readonly modules: Modules;
  userCode(provided: ProvidedModules): Promise<UserCode>;
  /** `entry` is the file of this program's first module: what to start again. */
  processes(entry: string): HostProcesses;
  /** Zeroed memory for this process and those that it starts; null where they cannot share any. */
  createSharedMemory(sizeBytes: number): Promise<SharedMemory | null>;
  /** That of the process that started this one; null where they cannot share any. */
  inheritSharedMemory(sizeBytes: number): Promise<PartedMemory | null>;
  /** To the outside: follows no redirect and obeys no proxy variable. */
  directFetch(url: string, init?: RequestInit): Promise<Response>;
  /** Null where only Bun can. */
  readonly secureFetch: SecureFetch | null;
  /** `path`: NOTIFY_SOCKET of the environment. It does nothing where none is named, or the host cannot reach it. */
  serviceManager(path: string | undefined): Promise<ServiceManager>;
  /** For who writes filters; null where only Bun can. */
  readonly pluginKit: (() => Promise<PluginKit>) | null;
  /** Null where a database cannot be counted on: Node has had one since 22.5. */
  readonly database: (() => Promise<OpenDatabase>) | null;
  /** Null where only Bun can. */
  readonly openPrivateFolder: OpenPrivateFolder | null;
  /** Binds an address alone and releases it; returns it as bound. Rejects as `Sockets.listen` does. */
  tryBind(address: Address): Promise<Address>;
}

export interface HostProcesses extends Processes {
  /**
   * Starts this program once more, with all that it prints in the file, which is emptied first. It is in a process
   * group of its own, so that Ctrl-C does not reach it, and hears when this process is gone. Null where only Bun can.
   */
  readonly startLogged: ((start: LoggedStart) => LoggedProcess) | null;
  /**
   * Starts a command that has stdin, stdout, stderr, and the environment of this process, with these variables besides.
   * Throws an Error that says why it cannot be started. Null where only Bun can.
   */
  readonly startCommand:
    | ((command: readonly string[], environment: Readonly<Record<string, string>>) => RunningCommand)
    | null;
}

/** A command that is not this program, on the same terminal. */
export interface RunningCommand {
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  signal(name: SignalName | "SIGKILL"): void;
}

export interface LoggedStart {
  readonly args: readonly string[];
  /** Absolute: the one that it works in. */
  readonly folder: string;
  readonly logPath: string;
}

/** Another instance of the program, which prints into a file. */
export interface LoggedProcess {
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  signal(name: SignalName): void;
  /** Ends it and all that it started, at once. */
  killGroup(): void;
}

/** What `clearway plugin` needs of the host. */
export interface PluginKit {
  /** What an editor needs for a filter and its test, by path. */
  types(): Promise<Readonly<Record<string, string>>>;
  /** Runs tests in a process of their own, which prints; returns its exit code. */
  test(run: TestRun): Promise<number>;
}

export interface TestRun {
  /** Paths that begin with `./` or `/`. */
  readonly files: readonly string[];
  /** `watch` runs them again whenever a file is saved, until it is stopped. */
  readonly mode: "once" | "watch";
}
