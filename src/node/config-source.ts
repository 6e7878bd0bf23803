/** Where a node's configuration comes from. */
import type { Clock, Files } from "../machine.ts";
import type { Problem } from "../snapshot.ts";
import { type ConfigWatch, watchConfig } from "./config-watch.ts";
import { type NotedFiles, type Reading, recordReads } from "./readings.ts";
import type { Loaded } from "./reloads.ts";

export interface ConfigSource {
  /** As people know it, e.g. `clearway.yaml`. */
  readonly name: string;
  /** What there is now, as a snapshot of this version, or what is wrong with it. */
  load(version: number): Promise<Loaded>;
  /** From now on it tells, whenever there may be something else than `follow` was called with last. */
  watch(changed: () => void): void;
  follow(reading: Reading): Promise<void>;
  /** A problem that no text explains, as whoever started the node knows its cause. */
  explained(problem: Problem): Problem;
  /** Nothing is told any more. */
  unwatch(): void;
}

export interface FileSourceParts {
  readonly clock: Clock;
  readonly files: Files;
  load(files: NotedFiles, version: number): Promise<Omit<Loaded, "reading">>;
}

/** A file, with all that it includes and names. */
export class FileSource implements ConfigSource {
  readonly #parts: FileSourceParts;
  #watch: ConfigWatch | null = null;

  /** `name`: the file, as the user named it. */
  constructor(
    parts: FileSourceParts,
    readonly name: string,
  ) {
    this.#parts = parts;
  }

  async load(version: number): Promise<Loaded> {
    const { files, reading } = recordReads(this.#parts.files);
    return { ...(await this.#parts.load(files, version)), reading };
  }

  watch(changed: () => void): void {
    this.#watch = watchConfig(this.#parts.files, this.#parts.clock, changed);
  }

  async follow(reading: Reading): Promise<void> {
    await this.#watch?.follow(reading);
  }

  explained(problem: Problem): Problem {
    return problem;
  }

  unwatch(): void {
    this.#watch?.close();
  }
}
