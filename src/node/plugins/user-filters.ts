/** Users' own files as filters: read where a config is checked, and run from what was read wherever it serves. */
import { joinPath } from "../../config/file-path.ts";
import type { CodeToRead, PluginCode, RefusedFilter } from "../../filter-lookup.ts";
import type { CodeFault, UserCode } from "../../machine.ts";
import type { FilterDefinition } from "../../types.ts";
import { definitionIn } from "./default-export.ts";
import { placeOfError, thrownText } from "./thrown.ts";

/** Configurations in a row that may be without a version before it is let go of: whoever goes back soon runs nothing again. */
const unusedMax = 4;

export type LoadedFilter =
  | { readonly plugin: PluginCode; readonly definition: FilterDefinition }
  | { readonly refusal: RefusedFilter };

export class UserFilters {
  readonly #code: UserCode;
  /** By name and version; as many as so many configurations name. */
  readonly #kept = new Map<string, { readonly definition: FilterDefinition; usedIn: number }>();
  #configuration = 0;

  constructor(code: UserCode) {
    this.#code = code;
  }

  /** What runs from now on is of another configuration. */
  next(): void {
    this.#configuration += 1;
    for (const [key, { usedIn }] of this.#kept) {
      if (usedIn < this.#configuration - unusedMax) this.#kept.delete(key);
    }
  }

  /** Reads the file and runs it. `folder` is the main config file's. */
  async read(name: string, folder: string, code: CodeToRead): Promise<LoadedFilter> {
    const path = joinPath(folder, name);
    const texts = new Map<string, string>();
    const files = {
      async read(file: string) {
        const text = await code.files.read(file);
        texts.set(file, text);
        return text;
      },
    };
    try {
      const read = await code.around("reading", name, () => this.#code.read(path, files));
      if (!read.ok) return { refusal: { refused: "", hints: [], faults: read.faults } };
      const { source, version } = read;
      return await code.around("loading", name, () => this.run({ name, version, source }, texts));
    } catch (error) {
      const reason = systemReason(error);
      // A host that makes no bundles runs the code to know what belongs to it.
      if (reason === null) return { refusal: { refused: "", hints: [], faults: [thrown(error, texts)] } };
      return { refusal: { refused: `cannot read ${path}: ${reason}`, hints: [] } };
    }
  }

  /** `texts`: those of its files, by their paths, for the places of errors. */
  async run(plugin: PluginCode, texts: ReadonlyMap<string, string> = new Map()): Promise<LoadedFilter> {
    const key = `${plugin.version} ${plugin.name}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      kept.usedIn = this.#configuration;
      return { plugin, definition: kept.definition };
    }
    let exported: Readonly<Record<string, unknown>>;
    try {
      exported = await this.#code.run(plugin.source, plugin.version);
    } catch (error) {
      return { refusal: { refused: "", hints: [], faults: [thrown(error, texts)] } };
    }
    const found = definitionIn(exported);
    if ("refused" in found) return { refusal: found };
    const definition: FilterDefinition = { ...found, name: plugin.name, version: plugin.version };
    this.#kept.set(key, { definition, usedIn: this.#configuration });
    return { plugin, definition };
  }
}

function thrown(error: unknown, texts: ReadonlyMap<string, string>): CodeFault {
  return { message: `it throws when it is loaded: ${thrownText(error)}`, place: placeOfError(error, texts) };
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "it is not there",
  EISDIR: "it is a folder",
  EACCES: "this program may not read it",
};

/** Null when it is no error of the file system. */
function systemReason(error: unknown): string | null {
  if (!(error instanceof Error) || !("syscall" in error)) return null;
  const { code } = error as { readonly code?: string };
  return reasons[code ?? ""] ?? error.message;
}
