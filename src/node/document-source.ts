import type { Clock, Files } from "../machine.ts";
import type { CheckedDocument } from "../mesh.ts";
import type { Problem } from "../snapshot.ts";
import { type ConfigWatch, watchConfig } from "./config-watch.ts";
import { type NotedFiles, recordReads } from "./readings.ts";

export interface ReadDocument {
  /** Null when there is any problem. */
  readonly document: CheckedDocument | null;
  readonly problems: readonly Problem[];
}

export interface DocumentSourceParts {
  readonly clock: Clock;
  readonly files: Files;
  load(files: NotedFiles): Promise<ReadDocument>;
}

/** The mesh document in a file, with all that it includes and names. */
export class DocumentSource {
  readonly #parts: DocumentSourceParts;
  #watch: ConfigWatch | null = null;

  constructor(parts: DocumentSourceParts) {
    this.#parts = parts;
  }

  async read(): Promise<ReadDocument> {
    const { files, reading } = recordReads(this.#parts.files);
    const read = await this.#parts.load(files);
    await this.#watch?.follow(reading);
    return read;
  }

  /** From now on it tells whenever there may be something else than was read last; reading it again follows it. */
  watch(changed: () => void): void {
    this.#watch = watchConfig(this.#parts.files, this.#parts.clock, changed);
  }

  close(): void {
    this.#watch?.close();
  }
}
