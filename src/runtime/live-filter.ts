/** Filters made from their entries in the config: their options read, their tools given. */
import type { FilterEntry } from "../snapshot.ts";
import type { FilterDefinition, FilterRegistry, Middleware, Tools, UpstreamFilter } from "../types.ts";
import { FilterGuard } from "./filter-guard.ts";
import { markedMiddleware, markedUpstream } from "./filter-mark.ts";
import type { FilterMark } from "./node-memory/running-filter.ts";
import { createTools, type ToolParts } from "./tools.ts";

/** One filter of one generation; exactly one of the two shapes is there. */
export interface LiveFilter {
  readonly name: string;
  readonly middleware: Middleware | null;
  readonly upstream: UpstreamFilter | null;
  /** Whether it may send more than once. */
  readonly repeats: boolean;
  readonly stillAllows: NonNullable<Middleware["stillAllows"]> | null;
  /** Logs and counts what it threw, or what only the chain noticed, and returns it as an Error. */
  blame(thrown: unknown): Error;
  /** When the generation retires. */
  close(): void;
}

export interface FilterParts extends ToolParts {
  readonly filters: FilterRegistry;
}

/**
 * `scope` names the listener or route that has the entries. Throws an Error that begins with the entry's place; what was
 * created before it is closed again.
 */
export function createFilters(
  entries: readonly FilterEntry[],
  parts: FilterParts,
  scope: string,
): LiveFilter[] {
  const created: LiveFilter[] = [];
  try {
    for (const entry of entries) created.push(createFilter(entry, parts, scope));
  } catch (error) {
    for (const filter of created) filter.close();
    throw error;
  }
  return created;
}

function createFilter(entry: FilterEntry, parts: FilterParts, scope: string): LiveFilter {
  const { name, place } = entry;
  const problem = (text: string, cause?: unknown) =>
    new Error(`${place.file}:${place.line}: cannot create the filter "${name}": ${text}`, { cause });
  const definition = parts.filters.get(name);
  if (definition === undefined) throw problem("wanted the name of a filter that is there");
  const read = definition.options.safeParse(entry.options);
  if (!read.success) {
    throw problem(read.error.issues.map(({ path, message }) => [...path, message].join(": ")).join("; "));
  }
  const { id, options: written } = entry;
  const owner = { name, id: id ?? name, scope: id === null ? scope : "", options: written };
  const { tools, close } = createTools(parts, owner);
  try {
    const { clock, meters } = parts;
    const guard = new FilterGuard(entry, { clock, meters, version: definition.version ?? "" }, tools.log);
    return {
      name,
      close,
      blame: (error) => guard.blame(error),
      ...shapes(definition, guard, { options: read.data, tools, mark: markOf(definition, name, parts) }),
    };
  } catch (error) {
    close();
    throw problem(error instanceof Error ? error.message : String(error), error);
  }
}

interface Making {
  readonly options: unknown;
  readonly tools: Tools;
  /** Null for one of the program's own. */
  readonly mark: FilterMark | null;
}

/** A user's filter has code of its own, and that has a version. */
function markOf({ version }: FilterDefinition, name: string, { share }: FilterParts): FilterMark | null {
  return version === undefined ? null : share.filterMark(name, version);
}

function shapes(
  definition: FilterDefinition,
  guard: FilterGuard,
  { options, tools, mark }: Making,
): Pick<LiveFilter, "middleware" | "upstream" | "repeats" | "stillAllows"> {
  if (definition.middleware !== undefined) {
    const run = definition.middleware(options, tools);
    return {
      middleware: guard.downstream(mark === null ? run : markedMiddleware(run, mark)),
      upstream: null,
      repeats: false,
      stillAllows: run.stillAllows ?? null,
    };
  }
  const run = definition.upstream(options, tools);
  const upstream = guard.upstream(mark === null ? run : markedUpstream(run, mark));
  const repeats = definition.repeats === true;
  return { middleware: null, upstream, repeats, stillAllows: null };
}
