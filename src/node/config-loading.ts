/** How a config is loaded: here, or in a trial where it names code that is not the program's own. */
import { isForeign } from "../config/filter-names.ts";
import { configJsonSchema } from "../config/json-schema.ts";
import {
  checkConfig,
  findFilters,
  isMeshDocument,
  type LoadOptions,
  type ReadConfig,
  readConfig,
} from "../config/load.ts";
import { aroundCheck, type FilterTrial } from "../config/trial.ts";
import { reportUnknown } from "../config/unknown-filter.ts";
import { type TrialParts, tryConfig } from "./plugins/trial.ts";
import type { ReadingPurpose, TriedConfig } from "./plugins/trial-messages.ts";
import type { NotedFiles } from "./readings.ts";

export interface LoadingOptions extends Omit<LoadOptions, "files" | "version" | "trial" | "wanted"> {
  /** Names that are known without looking, for the schema. */
  knownNames(): Promise<readonly string[]>;
}

/** Each call loads the config anew. */
export function configLoading(parts: TrialParts, options: LoadingOptions) {
  /** What named such code will most likely do so the next time too: then nothing is read twice. */
  let foreign = false;
  return async (files: NotedFiles, version: number, purpose: ReadingPurpose = "snapshot") => {
    if (!foreign) {
      const all = { ...options, files, version };
      const source = await readConfig(all);
      foreign = namesForeign(source);
      if (!foreign) return loaded(source, all, purpose);
    }
    const tried = await tryConfig(parts, { purpose, file: options.file, version }, files);
    foreign = tried.foreign;
    return tried;
  };
}

/** The same inside the trial. */
export async function loadInTrial(
  options: LoadingOptions & LoadOptions & { readonly trial: FilterTrial },
  purpose: ReadingPurpose,
): Promise<TriedConfig> {
  return loaded(await readConfig(options), options, purpose);
}

async function loaded(
  source: ReadConfig,
  options: LoadingOptions & LoadOptions,
  purpose: ReadingPurpose,
): Promise<TriedConfig> {
  const foreign = namesForeign(source);
  if (purpose === "schema" || purpose === "document-schema") {
    return { ...(await schemaOf(source, options, purpose)), foreign };
  }
  const wanted = wantedFor[purpose];
  return { ...(await checkConfig(source, { ...options, wanted })), schema: null, foreign };
}

const wantedFor = { snapshot: "node", document: "mesh", check: "either" } as const;

async function schemaOf(source: ReadConfig, options: LoadingOptions & LoadOptions, purpose: ReadingPurpose) {
  const { names, report } = source;
  const folder = "";
  const own = await options.findFilters(new Set(await options.knownNames()), { folder, code: { known: [] } });
  const found = await findFilters(source, options);
  for (const [name, place] of names) {
    if (isForeign(name) && !found.filters.has(name)) reportUnknown(name, place, { ...found, report });
  }
  const filters = new Map([...own.filters, ...found.filters]);
  const isDocument = source.config === null ? false : isMeshDocument(source.config);
  const make = isDocument || purpose === "document-schema" ? await documentSchemas() : configJsonSchema;
  const schema = await aroundCheck(names, options.trial ?? null, () => make(filters));
  return { snapshot: null, document: null, problems: report.list(), resolved: null, schema };
}

/** Loaded for a mesh document alone: most nodes never see one. */
async function documentSchemas() {
  return (await import("../config/mesh/json-schema.ts")).documentJsonSchema;
}

function namesForeign({ names }: ReadConfig): boolean {
  return [...names.keys()].some(isForeign);
}
