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
  readonly #changed: () => void;
  readonly #watches = new Map<string, () => void>();
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
    this.#changed = changed;
    this.#stopPolling = clock.every(pollMs, () => this.#check("watch anew"));
  }

  async follow(reading: Reading): Promise<void> {
    this.#reading = reading;
    this.#told = null;
    await this.#watchFolders();
    // What happened between the reading and the watch is told by no event.
    this.#event();
  }

  close(): void {
    this.#closed = true;
    this.#stopPolling();
    this.#cancelCheck();
    this.#unwatch();
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
      if (this.#closed || known !== this.#reading || sameReading(this.#told ?? known, now)) return;
      this.#told = now;
      if (then === "watch anew") this.#unwatch();
      await this.#watchFolders();
      this.#changed();
    });
  }

  /** Also the folders that links lead to, as they stand now. */
  async #watchFolders(): Promise<void> {
    const wanted = await this.#folders();
    if (this.#closed) return;
    for (const [folder, stop] of this.#watches) {
      if (wanted.has(folder)) continue;
      stop();
      this.#watches.delete(folder);
    }
    for (const folder of wanted) {
      if (this.#watches.has(folder) || this.#watches.size === foldersMax) continue;
      try {
        this.#watches.set(
          folder,
          this.#files.watch(folder, () => this.#event()),
        );
      } catch {
        // It is not there, or the system allows no more watches: the poll still sees its files.
      }
    }
  }

  async #folders(): Promise<Set<string>> {
    const folders = new Set<string>(this.#reading.folders.keys());
    for (const path of this.#reading.files.keys()) folders.add(folderOf(path));
    const real = await Promise.allSettled(
      [...this.#reading.files.keys()].map((path) => this.#files.realPath(path)),
    );
    for (const result of real) if (result.status === "fulfilled") folders.add(folderOf(result.value));
    return folders;
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
