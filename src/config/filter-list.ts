/** A list of filters: every entry's name and options, and their order. */

import type { z } from "zod";
import type { FilterEntry } from "../snapshot.ts";
import type { FilterDefinition, FilterRegistry } from "../types.ts";
import { check, checkList } from "./check.ts";
import { directoryOf, joinPath } from "./file-path.ts";
import { entryKeys, isForeign, type NamePlace, wholeName } from "./filter-names.ts";
import { filtersMax } from "./grammar.ts";
import { childrenOf, emptyPart, isNothing, nothingBehind, type Part, plainOf, spotOf } from "./located.ts";
import { inputOf, type Marked, markedValues } from "./marks.ts";
import { nearestHints } from "./nearest.ts";
import type { Report } from "./problem.ts";
import { shownOptions } from "./shown-options.ts";
import { lineOf, type Range } from "./source.ts";
import { type FilterTrial, stepAt } from "./trial.ts";
import { type KnownNames, reportUnknown } from "./unknown-filter.ts";
import { quoted } from "./wanted.ts";

const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export interface FilterContext extends KnownNames {
  /** The main config file. */
  readonly file: string;
  readonly filters: FilterRegistry;
  readonly trial: FilterTrial | null;
  /** The names of all services; null when not all are known. */
  readonly services: ReadonlySet<string> | null;
  /** What entries look like with their defaults and without their secrets, for --resolved. */
  readonly shown: Map<object, unknown>;
  /** Services that entries may send to. */
  readonly uses?: Map<FilterEntry, readonly string[]>;
}

/** Null when anything in the list is wrong. */
export function readFilters(
  list: Part | null,
  owner: "listener" | "route",
  context: FilterContext,
): readonly FilterEntry[] | null {
  const { report } = context;
  const parts = checkList(list, { wanted: "a list of filters", entriesMax: filtersMax, report });
  if (parts === null) return null;
  const read = parts.map((part) => ({ part, entry: readEntry(part, context) }));
  const known = read.flatMap(({ part, entry }) => {
    const definition = entry === null ? undefined : context.filters.get(entry.name);
    return definition === undefined ? [] : [{ part, definition }];
  });
  const placed = owner === "route" ? inOrder(known, report) : noneUpstream(known, report);
  const entries = read.flatMap(({ entry }) => (entry?.right ? [entry.value] : []));
  return placed && entries.length === read.length ? entries : null;
}

/** The name is known even when the options are wrong, so that the order can be checked. */
type ReadEntry =
  | { readonly name: string; readonly right: true; readonly value: FilterEntry }
  | { readonly name: string; readonly right: false };

function readEntry(part: Part, context: FilterContext): ReadEntry | null {
  const { report } = context;
  const { node } = part;
  if (node.kind === "gap") return null;
  if (node.kind === "scalar" && typeof node.value === "string") {
    return readNamed(
      {
        name: node.value,
        options: { ...nothingBehind(part), path: [...part.path, node.value] },
        extras: noExtras,
      },
      part.key,
      context,
    );
  }
  const children = childrenOf(part);
  const named = children.filter(([name]) => !entryKeys.includes(name));
  const [first, second] = named;
  if (node.kind !== "map" || first === undefined) {
    const message = `cannot read ${quoted(plainOf(node))}: wanted the name of a filter, or a map with one`;
    report.add(spotOf(part), part.path, { message });
    return null;
  }
  if (second !== undefined) {
    const message = `cannot use "${first[0]}" and "${second[0]}" in one entry: wanted one filter, and beside it id and onError`;
    report.add(second[1].key, second[1].path, { message, hints: ["put each filter behind its own dash"] });
    return null;
  }
  const extras = readExtras(children, report);
  const entry = readNamed(
    { name: first[0], options: first[1], extras: extras ?? noExtras },
    first[1].key,
    context,
  );
  return entry === null || extras !== null ? entry : { name: entry.name, right: false };
}

interface Extras {
  readonly id: string | null;
  readonly onError: "fail" | "open";
}

const noExtras: Extras = { id: null, onError: "fail" };

function readExtras(children: readonly [string, Part][], report: Report): Extras | null {
  const extras = { id: null as string | null, onError: "fail" as "fail" | "open" };
  let right = true;
  for (const [name, part] of children) {
    const value = plainOf(part.node);
    if (name === "id" && typeof value === "string" && idPattern.test(value)) extras.id = value;
    else if (name === "onError" && (value === "fail" || value === "open")) extras.onError = value;
    else if (entryKeys.includes(name)) {
      const wanted =
        name === "id" ? "a name of at most 63 letters, digits, dashes, dots and underscores" : "fail or open";
      report.add(spotOf(part), part.path, { message: `cannot read ${quoted(value)}: wanted ${wanted}` });
      right = false;
    }
  }
  return right ? extras : null;
}

/** One filter whose options stand behind a key of its own; null when anything is wrong. */
export function readFilterOf(name: string, options: Part, context: FilterContext): FilterEntry | null {
  const entry = readNamed({ name, options, extras: noExtras }, options.key, context);
  return entry?.right ? entry.value : null;
}

function readNamed(
  source: { readonly name: string; readonly options: Part; readonly extras: Extras },
  key: Range,
  context: FilterContext,
): ReadEntry | null {
  const { extras } = source;
  const name = wholeName(source.name, key.file.name, context.file);
  const at: NamePlace = { range: key, path: source.options.path.slice(0, -1) };
  const definition = context.filters.get(name);
  if (definition === undefined) {
    reportUnknown(name, at, context);
    return null;
  }
  const trial = isForeign(name) ? context.trial : null;
  trial?.beginNow(stepAt("checking", name, at));
  const read = readOptions(definition, source.options, context);
  trial?.endNow();
  if (read === null) return { name, right: false };
  if (trial !== null && !created(definition, read.options, { trial, at, context })) {
    return { name, right: false };
  }
  const place = { file: key.file.name, line: lineOf(key) };
  const value: FilterEntry = { name, ...extras, options: read.options, place };
  context.shown.set(value, read.shown);
  if (read.uses.length > 0) context.uses?.set(value, read.uses);
  return { name, right: true, value };
}

/** Whether it can be created, as far as the trial sees. */
function created(
  definition: FilterDefinition,
  options: unknown,
  on: { readonly trial: FilterTrial; readonly at: NamePlace; readonly context: FilterContext },
): boolean {
  const { trial, at, context } = on;
  trial.beginNow(stepAt("creating", definition.name, at));
  const fault = trial.create(definition, options);
  trial.endNow();
  if (fault === null) return true;
  const { message, place } = fault;
  const hints = place === null ? [] : [`thrown in ${place.file}:${place.line}:${place.column}`];
  const said = `cannot create the filter "${definition.name}": ${message}`;
  context.report.add(at.range, at.path, { message: said, hints });
  return false;
}

interface ReadOptions {
  readonly options: unknown;
  /** What `--resolved` shows of them. */
  readonly shown: unknown;
  /** Services that they name. */
  readonly uses: readonly string[];
}

/** Null when they are wrong. */
function readOptions(definition: FilterDefinition, part: Part, context: FilterContext): ReadOptions | null {
  const { report } = context;
  try {
    const written = isNothing(part) && !takesNothing(definition) ? emptyPart(part) : part;
    if (!check(definition.options, written, report).ok) return null;
    const options = plainOf(written.node);
    const marked = markedValues(definition.options, options);
    if (!checkMarked(marked, written, context)) return null;
    const shown = shownOptions(definition.options, written.node, marked);
    const uses = marked.flatMap(({ mark, value }) => (mark === "service" ? [String(value)] : []));
    return { options: withPaths(options, written, marked), shown, uses };
  } catch (error) {
    // A schema is the filter author's code.
    const reason = error instanceof Error ? error.message : String(error);
    const message = `cannot check the options of "${definition.name}": ${reason}`;
    report.add(part.key, part.path, { message });
    return null;
  }
}

/** Whether a name alone says nothing at all, and not a map without keys. It may still be refused further on. */
function takesNothing({ options }: FilterDefinition): boolean {
  return options.safeParse(null).success || (inputOf(options) as z.ZodType).safeParse(null).success;
}

/** The options with the names of files made relative to where the config file is seen from. */
function withPaths(options: unknown, part: Part, marked: readonly Marked[]): unknown {
  for (const { mark, value, path } of marked) {
    if (mark !== "path" || typeof value !== "string" || path.length === 0) continue;
    const holder = path.slice(0, -1).reduce<unknown>((item, step) => (item as never)[step], options);
    const file = joinPath(directoryOf(part.node.range.file.name), value);
    (holder as Record<string | number, unknown>)[path[path.length - 1] as string | number] = file;
  }
  return options;
}

function checkMarked(marked: readonly Marked[], options: Part, context: FilterContext): boolean {
  const { report, services } = context;
  let right = true;
  for (const { mark, value, path } of marked) {
    if (mark !== "service" && mark !== "percent") continue;
    const place = path.reduce<Part>(
      (part, step) => childrenOf(part).find(([name]) => name === String(step))![1],
      options,
    );
    if (mark === "service" && services !== null && !services.has(String(value))) {
      reportUnknownService(String(value), place, { report, services });
      right = false;
    }
    if (mark === "percent" && typeof value === "number" && path[path.length - 1] !== "percent") {
      const message = `cannot read ${value}: wanted a percentage such as ${value}%`;
      report.add(spotOf(place), place.path, { message });
      right = false;
    }
  }
  return right;
}

export function reportUnknownService(
  name: string,
  part: Part,
  context: { readonly report: Report; readonly services: ReadonlySet<string> },
): void {
  const known = [...context.services].slice(0, 1000);
  context.report.add(
    part.node.kind === "scalar" && part.node.value === name ? part.node.range : part.key,
    part.path,
    {
      message: `unknown service "${name}"`,
      hints: nearestHints(name, known),
    },
  );
}

interface KnownEntry {
  readonly part: Part;
  readonly definition: FilterDefinition;
}

/** What has a lower one stands further outside. */
export function rankOfName(name: string, { filters }: FilterContext): number {
  const definition = filters.get(name);
  return definition === undefined ? 0 : rankOf(definition);
}

const ranks = ["around the request", "around the call to the service", "repeating the call to the service"];

function rankOf(definition: FilterDefinition): number {
  if (definition.middleware !== undefined) return 0;
  return definition.repeats ? 2 : 1;
}

/** Reports the first pair that stands the wrong way round. */
function inOrder(entries: readonly KnownEntry[], report: Report): boolean {
  const index = entries.findIndex(
    (entry, at) => at > 0 && rankOf(entry.definition) < rankOf(entries[at - 1]!.definition),
  );
  if (index < 0) return true;
  const [before, after] = [entries[index - 1]!, entries[index]!];
  const [beforeName, afterName] = [before.definition.name, after.definition.name];
  report.add(spotOf(after.part), after.part.path, {
    message: `cannot run ${afterName}, ${ranks[rankOf(after.definition)]}, after ${beforeName}, ${ranks[rankOf(before.definition)]}`,
    hints: ["swap these two:", ...shownPair(before.part, after.part)],
  });
  return false;
}

/** The two lines, or the two entries when they share one. */
function shownPair(before: Part, after: Part): string[] {
  const ranges = [before.node.range, after.node.range];
  const oneLine = lineOf(before.node.range) === lineOf(after.node.range);
  return ranges.map(({ file, start, end }) => {
    const line = file.position(start).line;
    const text = oneLine ? file.text.slice(start, end).trim() : file.line(line);
    return `${line} | ${text.slice(0, 200)}`;
  });
}

function noneUpstream(entries: readonly KnownEntry[], report: Report): boolean {
  const wrong = entries.filter(({ definition }) => definition.upstream !== undefined);
  for (const { part, definition } of wrong) {
    const message = `cannot run ${definition.name} on a listener: it stands around the call to a service`;
    report.add(spotOf(part), part.path, { message, hints: ["put it into the `filters` of a route"] });
  }
  return wrong.length === 0;
}
