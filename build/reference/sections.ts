/** Pages of sections, each a part of a grammar: what a key takes that has a section links to that. */
import type { z } from "zod";
import { serviceLimitsGrammar } from "../../src/config/grammar/service.ts";
import { nodeLimitsGrammar } from "../../src/config/grammar.ts";
import { defaultLimits, limitNames, workerMemoryBytes } from "../../src/config/limits.ts";
import { meshLimitsGrammar } from "../../src/config/mesh/grammar.ts";
import { formatDuration, formatSize } from "../../src/units.ts";
import { type Elsewhere, rowsOf, table } from "./rows.ts";
import { values } from "./values.ts";
import { code } from "./words.ts";

export interface Section {
  /** Where it stands in a config. */
  readonly title: string;
  readonly lead: string;
  readonly schema: z.ZodType;
  /** One with fewer keys, at another place, that has no section of its own. */
  readonly part?: z.ZodType;
}

export interface PageParts {
  readonly head: string;
  readonly sections: readonly Section[];
  /** What the grammar itself has no words for. */
  readonly types: Readonly<Record<string, string>>;
  /** Of another page, for what has no section here. */
  readonly others?: { readonly page: string; readonly sections: readonly Section[] };
}

export function pageOf(page: PageParts): string {
  const parts = page.sections.map((section) => {
    const rows = rowsOf(section.schema, elsewhereOf(section, page));
    return `## ${section.title}\n\n${section.lead}\n\n${table(rows, "key")}\n`;
  });
  return [page.head, values, ...parts].join("\n");
}

const limitGrammars: readonly z.ZodType[] = [nodeLimitsGrammar, serviceLimitsGrammar, meshLimitsGrammar];

function elsewhereOf(here: Section, { sections, types, others }: PageParts): Elsewhere {
  const isLimits = limitGrammars.includes(here.schema);
  const found = (list: readonly Section[], schema: z.core.$ZodType) =>
    list.find((one) => one !== here && isOf(one, schema)) ?? null;
  return {
    section: (schema) =>
      linkTo(found(sections, schema), "") ??
      (others === undefined ? null : linkTo(found(others.sections, schema), others.page)),
    type: (name) => types[name] ?? null,
    default: (name) => (isLimits ? limitDefault(name) : null),
  };
}

/** A description makes a new schema, of the same keys. */
function isOf({ schema, part }: Section, other: z.core.$ZodType): boolean {
  const shapeOf = (one: z.core.$ZodType) => (one._zod.def as z.core.$ZodObjectDef).shape;
  const shapes = [schema, ...(part === undefined ? [] : [part])].map(shapeOf);
  return shapes.includes(shapeOf(other));
}

function linkTo(section: Section | null, page: string): string | null {
  return section === null ? null : `[${section.title.replace("[]", "")}](${page}#${anchorOf(section.title)})`;
}

/** As GitHub makes them. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, "")
    .replaceAll(" ", "-");
}

/** They are not the schema's, because a listener's and a service's own go over the general ones. */
function limitDefault(name: string): string | null {
  if (name === "workerMemory") return code(formatSize(workerMemoryBytes));
  const field = limitNames.find(([written]) => written === name)?.[1];
  if (field === undefined) return null;
  const value = defaultLimits[field];
  if (field.endsWith("Ms")) return code(formatDuration(value));
  return code(field.endsWith("Bytes") ? formatSize(value) : String(value));
}
