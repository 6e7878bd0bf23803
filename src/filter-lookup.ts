/**
 * The nouns of filters before a request meets them, types only: what the names in a config stand for, users' own code
 * behind them, and who finds it.
 */
import type { CodeFault, CodeSource, Files } from "./machine.ts";
import type { FilterDefinition, FilterRegistry } from "./types.ts";

/** A user's own file with all that it imports, as it was when the config was checked: every worker runs the same code. */
export interface PluginCode {
  /** As the config names it, seen from the main config's folder: `./plugins/tenant.ts`. */
  readonly name: string;
  /** Hexadecimal: another one after every change of the file, or of what it imports. */
  readonly version: string;
  readonly source: CodeSource;
}

/** Why there is no filter of a name that somebody might expect to be one. */
export interface RefusedFilter {
  /** Follows "cannot use the filter NAME: ". */
  readonly refused: string;
  readonly hints: readonly string[];
  /** Where it is the code's fault: each is a problem at its own place. */
  readonly faults?: readonly CodeFault[];
}

/** Filters that are found by their names, when a config uses these. */
export interface FilterFamily {
  takes(name: string): boolean;
  /** Those that are known without looking. */
  readonly names: readonly string[];
  /** `folder` is the config's. Null for a name that nothing has. */
  find(name: string, folder: string): Promise<FilterDefinition | RefusedFilter | null>;
}

/** What the names of a config stand for. */
export interface FoundFilters {
  readonly filters: FilterRegistry;
  readonly refused: ReadonlyMap<string, RefusedFilter>;
  /** Every name that could have been used, as far as it is known. */
  readonly known: readonly string[];
  /** The code behind the names that are users' own files. */
  readonly plugins: readonly PluginCode[];
}

export interface CodeToRead {
  readonly files: Pick<Files, "read">;
  /** Everything that runs code of this filter, or lets it run, happens inside of it. */
  around<Result>(work: "reading" | "loading", name: string, run: () => Promise<Result>): Promise<Result>;
}

/** Where names are looked for. */
export interface FilterPlace {
  /** The main config file's. */
  readonly folder: string;
  /** Users' own code: read before, or read now through these files. */
  readonly code: { readonly known: readonly PluginCode[] } | CodeToRead;
}

/** Never rejects. */
export type FindFilters = (names: ReadonlySet<string>, place: FilterPlace) => Promise<FoundFilters>;
