/** A coordinator as a program: its arguments, what it tells the person who started it, and its end. */
import { bindAddress, formatAddress } from "../config/address.ts";
import type { Address, Files, Terminal } from "../machine.ts";
import type { CheckedDocument } from "../mesh.ts";
import {
  coordinatorFolder,
  type StartedCoordinator,
  type StartParts,
  type StartWish,
  startCoordinator,
} from "./start.ts";

export { handshakeTimeoutMs } from "./start.ts";

export interface RunParts extends StartParts {
  readonly terminal: Terminal;
  readonly files: Pick<Files, "read">;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly programVersion: string;
  /** Null without a mesh document on the command line. */
  readonly document: DocumentInFile | null;
  onStop(stop: () => void): void;
}

/** The mesh document of `-c`. */
export interface DocumentInFile {
  readonly file: string;
  read(): Promise<ReadText>;
  watch(changed: () => void): void;
  close(): void;
}

export type ReadText =
  | { readonly document: CheckedDocument }
  /** Every problem, for people. */
  | { readonly document: null; readonly problemsText: string };

export interface RunArguments {
  readonly watch: "yes" | "no";
  readonly bind: string;
  readonly store: string;
  readonly names: readonly string[];
  readonly caCert: string | null;
  readonly caKey: string | null;
}

/** Returns the exit code when it was told to end. */
export async function runCoordinator(parts: RunParts, given: RunArguments): Promise<number> {
  const { terminal, document, clock } = parts;
  const startedAtMs = clock.now();
  const stopped = new Promise<void>((resolve) => parts.onStop(resolve));
  try {
    if (given.watch === "yes" && document === null) throw new Error("--watch needs a mesh document: -c FILE");
    const saves = given.watch === "yes" ? new Saves(terminal, document!) : null;
    const first = (await document?.read()) ?? null;
    if (first?.document === null) {
      terminal.error(first.problemsText);
      return 1;
    }
    const wish = await wishOf(parts, given, first?.document ?? null);
    const started = await startCoordinator(parts, wish);
    announce(parts, given, { started, tookMs: clock.now() - startedAtMs });
    saves?.start(started);
    await stopped;
    await saves?.finished();
    await started.close();
    return 0;
  } catch (error) {
    const inUse = (error as { code?: string }).code === "EADDRINUSE";
    const why = inUse ? `${given.bind} is in use: another program listens there` : errorText(error);
    terminal.error(`clearway: the coordinator cannot start: ${why}`);
    return 1;
  } finally {
    document?.close();
  }
}

async function wishOf(
  { files, environment }: RunParts,
  { bind, store, names, caCert, caKey }: RunArguments,
  document: CheckedDocument | null,
): Promise<StartWish> {
  const address = bindAddress().safeParse(bind);
  if (!address.success || "unixPath" in address.data) {
    throw new Error(
      `cannot read ${JSON.stringify(bind)} after --bind: wanted HOST:PORT, such as 0.0.0.0:9800`,
    );
  }
  if ((caCert === null) !== (caKey === null)) throw new Error("--ca-cert and --ca-key belong together");
  const given =
    caCert === null || caKey === null
      ? null
      : { certificates: await textOf(files, caCert), key: await textOf(files, caKey) };
  const operator = environment.USER ?? environment.LOGNAME ?? "operator";
  return { bind: address.data, store, names, given, document, operator };
}

async function textOf(files: RunParts["files"], path: string): Promise<string> {
  try {
    return await files.read(path);
  } catch (error) {
    throw new Error(`cannot read ${path}: ${(error as Error).message}`);
  }
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Beginning {
  readonly started: StartedCoordinator;
  readonly tookMs: number;
}

/** What was started, and what to type next. */
function announce(parts: RunParts, given: RunArguments, { started, tookMs }: Beginning): void {
  const { terminal, document, programVersion } = parts;
  const { trustDomain, services, rootFingerprint, differs, address } = started;
  const url = urlOf(address, given.names);
  const say = (text: string) => terminal.out(text);
  say(
    `clearway ${programVersion} coordinates ${trustDomain} on ${url} (started in ${Math.round(tookMs)} ms)`,
  );
  say(`  store     ${given.store}, version ${started.version()} of the mesh document`);
  say(`  root      ${rootFingerprint} (SHA-256)`);
  say(`  operator  token in ${coordinatorFolder}/operator.token`);
  const elsewhere = url === coordinatorUrlDefault ? "" : ` --coordinator ${url}`;
  const service = services[0] ?? "SERVICE";
  say("next, for each service, where this coordinator's folder is, and where the service runs:");
  say(`  clearway token create --service ${service}${elsewhere}`);
  say(
    `  CLEARWAY_JOIN_TOKEN=TOKEN clearway sidecar --service ${service} --app 127.0.0.1:8080 --coordinator ${url}`,
  );
  if (isUnspecified(address) && given.names.length === 0) {
    say("  on other machines with the address of this one instead of 127.0.0.1");
  }
  if (differs !== null && given.watch === "no") {
    const what = differs.changes.length === 1 ? "1 change" : `${differs.changes.length} changes`;
    say(`${document?.file} is not what holds (${what}); this applies it:`);
    say(`  clearway apply -f ${document?.file}${elsewhere}`);
  }
}

const coordinatorUrlDefault = "https://127.0.0.1:9800";

/** As others may dial it: every address of a machine is none. */
function urlOf(address: Address, names: readonly string[]): string {
  if ("unixPath" in address) return formatAddress(address);
  const { host, port } = address;
  const [name] = names;
  const dialled = isUnspecified(address) ? (name ?? "127.0.0.1") : host;
  return `https://${formatAddress({ host: dialled, port })}`;
}

function isUnspecified(address: Address): boolean {
  return "host" in address && (address.host === "0.0.0.0" || address.host === "::");
}

/** `--watch`: one save after another becomes the version that holds; several meanwhile are one. */
class Saves {
  readonly #terminal: Terminal;
  readonly #document: DocumentInFile;
  #started: StartedCoordinator | null = null;
  #saved: "yes" | "no" = "no";
  #working: Promise<void> | null = null;

  constructor(terminal: Terminal, document: DocumentInFile) {
    this.#terminal = terminal;
    this.#document = document;
    document.watch(() => this.#changed());
  }

  start(started: StartedCoordinator): void {
    this.#started = started;
    if (started.differs !== null || this.#saved === "yes") this.#changed();
  }

  async finished(): Promise<void> {
    this.#started = null;
    await this.#working;
  }

  #changed(): void {
    this.#saved = "yes";
    if (this.#started === null || this.#working !== null) return;
    this.#working = this.#apply(this.#started).finally(() => {
      this.#working = null;
      if (this.#saved === "yes") this.#changed();
    });
  }

  async #apply(started: StartedCoordinator): Promise<void> {
    this.#saved = "no";
    const { file } = this.#document;
    try {
      const before = started.version();
      const read = await this.#document.read();
      if (read.document === null) {
        this.#terminal.error(`${read.problemsText}\n${file} is not applied; version ${before} goes on`);
        return;
      }
      const version = await started.apply(read.document);
      if (version !== before) this.#terminal.out(`${file} is applied: version ${version} holds`);
    } catch (error) {
      this.#terminal.error(`clearway: ${file} is not applied: ${errorText(error)}`);
    }
  }
}
