/**
 * Tells when a configuration may have changed. Folders are watched, not files: an editor's rename, delete and create,
 * and the swap of a Kubernetes `..data` link all leave a watch on the file itself behind.
 */
import type { Clock, Files } from "../machine.ts";
import { type Reading, readAgain, sameReading } from "./readings.ts";

/** A save is often several events: it is over when nothing happened for so long, */
const quietMs = 100;
/** or, in a folder where something always happens, after so long. */
const patienceMs = 1000;
/** For file systems that tell nothing, and folders that were themselves replaced. */
const pollMs = 5000;
/** Watched folders; further ones are only polled. */
const foldersMax = 256;

/** By folder, the names there of files that were read; none where only the folder was listed. */
type NamesRead = ReadonlyMap<string, ReadonlySet<string>>;

export interface ConfigWatch {
  /** What a change is measured against from now on; its folders are watched from now on. */
  follow(reading: Reading): Promise<void>;
  close(): void;
}

export function watchConfig(files: Files, clock: Clock, changed: () => void): ConfigWatch {
  return new FolderWatch(files, clock, changed);
}

class FolderWatch implements ConfigWatch {
  readonly #files: Files;
  readonly #clock: Clock;
  readonly #tell: () => void;
  readonly #watches = new Map<string, () => void>();
  #names: NamesRead = new Map();
  readonly #stopPolling: () => void;
  #reading: Reading = { files: new Map(), folders: new Map() };
  /** What was told of and is not followed yet, because what reads it takes its time: it is not told twice. */
  #told: Reading | null = null;
  #firstEventMs: number | null = null;
  #cancelCheck: () => void = () => {};
  #checking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(files: Files, clock: Clock, changed: () => void) {
    this.#files = files;
    this.#clock = clock;
    this.#tell = changed;
    this.#stopPolling = clock.every(pollMs, () => this.#check("watch anew"));
  }

  async follow(reading: Reading): Promise<void> {
    const expected = this.#told ?? this.#reading;
    this.#reading = reading;
    this.#told = null;
    if (sameReading(expected, reading)) return;
    await this.#watchFolders();
    // What happened to a file between its reading and its watch was told by no event; nor was it where events were
    // measured against something else than this reading.
    this.#event();
  }

  close(): void {
    this.#closed = true;
    this.#stopPolling();
    this.#cancelCheck();
    this.#unwatch();
  }

  /** A log that is written beside the config is nothing to wait for, nor a reason to read that again. */
  #happened(folder: string, written: string | null): void {
    if (written === null || this.#names.get(folder)?.has(written) === true) this.#event();
  }

  #event(): void {
    if (this.#closed) return;
    const nowMs = this.#clock.now();
    this.#firstEventMs ??= nowMs;
    this.#cancelCheck();
    const leftMs = this.#firstEventMs + patienceMs - nowMs;
    this.#cancelCheck = this.#clock.after(Math.max(0, Math.min(quietMs, leftMs)), () => {
      this.#firstEventMs = null;
      this.#check("keep watching");
    });
  }

  /** One after another: reading everything may take longer than the next event. */
  #check(then: "keep watching" | "watch anew"): void {
    this.#checking = this.#checking.then(async () => {
      if (this.#closed) return;
      const known = this.#reading;
      const now = await readAgain(this.#files, known);
      if (this.#closed) return;
      // Another reading is followed since: what there is now is to be measured against that.
      if (known !== this.#reading) return this.#event();
      if (sameReading(this.#told ?? known, now)) return;
      this.#told = now;
      if (then === "watch anew") this.#unwatch();
      await this.#watchFolders();
      this.#tell();
    });
  }

  /** Also the folders that links lead to, as they stand now. */
  async #watchFolders(): Promise<void> {
    const wanted = await this.#namesRead();
    if (this.#closed) return;
    this.#names = wanted;
    for (const [folder, stop] of this.#watches) {
      if (wanted.has(folder)) continue;
      stop();
      this.#watches.delete(folder);
    }
    for (const folder of wanted.keys()) {
      if (this.#watches.has(folder) || this.#watches.size === foldersMax) continue;
      try {
        this.#watches.set(
          folder,
          this.#files.watch(folder, (written) => this.#happened(folder, written)),
        );
      } catch {
        // It is not there, or the system allows no more watches: the poll still sees its files.
      }
    }
  }

  async #namesRead(): Promise<NamesRead> {
    const names = new Map<string, Set<string>>();
    for (const folder of this.#reading.folders.keys()) names.set(folder, new Set());
    const paths = [...this.#reading.files.keys()];
    const real = await Promise.allSettled(paths.map((path) => this.#files.realPath(path)));
    for (const result of real) if (result.status === "fulfilled") paths.push(result.value);
    for (const path of paths) {
      const folder = folderOf(path);
      const known = names.get(folder);
      const name = path.slice(path.lastIndexOf("/") + 1);
      if (known === undefined) names.set(folder, new Set([name]));
      else known.add(name);
    }
    return names;
  }

  #unwatch(): void {
    for (const stop of this.#watches.values()) stop();
    this.#watches.clear();
  }
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  if (slash === -1) return ".";
  return slash === 0 ? "/" : path.slice(0, slash);
}
