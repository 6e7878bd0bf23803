/** What a trial process and its supervisor tell each other; plain data. */
import type { PluginCode } from "../../filter-lookup.ts";
import type { CheckedDocument } from "../../mesh.ts";
import type { FilterEntry, Problem, Snapshot, TrialStep } from "../../snapshot.ts";

/** The verb of the program under which a trial starts; after it come what for, the config file and the version. */
export const trialVerb = "trial";

/**
 * `check` takes the config of a node and a mesh document alike; the schema is of the one that is there; `filters` reads no
 * config: what to try is handed over.
 */
export type TrialPurpose = "snapshot" | "document" | "check" | "schema" | "document-schema" | "filters";

/** Those that read a config. */
export type ReadingPurpose = Exclude<TrialPurpose, "filters">;

/** Filters with the code that they name. */
export interface GivenFilters {
  readonly entries: readonly FilterEntry[];
  readonly plugins: readonly PluginCode[];
}

/** What a config is, once its filters were tried. */
export interface TriedConfig {
  readonly snapshot: Snapshot | null;
  readonly document: CheckedDocument | null;
  readonly problems: readonly Problem[];
  readonly resolved: unknown;
  /** JSON Schema, where that was asked for and there was no problem. */
  readonly schema: unknown;
  /** Whether it names code that is not the program's own. */
  readonly foreign: boolean;
}

/** How a step is called. */
export const doing: Readonly<Record<TrialStep["work"], string>> = {
  reading: "reading it",
  loading: "loading it",
  checking: "checking its options",
  creating: "creating it",
};

export type TrialMessage =
  /** What was read, as it was read: to know when it changes. */
  | {
      readonly kind: "read";
      readonly of: "files" | "folders";
      readonly path: string;
      readonly outcome: string;
    }
  /** Users' code runs after this; with `answer`, not before it came back. */
  | { readonly kind: "begin"; readonly step: TrialStep; readonly answer: boolean }
  | { readonly kind: "end" }
  /** Answered with what the target gives. */
  | { readonly kind: "wanted" }
  | { readonly kind: "tried"; readonly config: TriedConfig };
