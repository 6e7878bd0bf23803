/** The options of a schema as rows of a table, those of maps in it below it. */
import type { z } from "zod";
import { innerOf, inputOf, isOptional, markOf } from "../../src/config/marks.ts";
import { code, defaultWords, escaped, wordsOf } from "./words.ts";

type Schema = z.core.$ZodType;

export interface Row {
  /** `abort.status`, `keys.NAME`, `tls[].key` */
  readonly name: string;
  readonly type: string;
  /** `required`, or as a config writes it; empty where the description says what is so without it. */
  readonly default: string;
  readonly description: string;
}

/** For what is said elsewhere. */
export interface Elsewhere {
  /** The section of a map, instead of its rows. */
  readonly section?: (schema: Schema) => string | null;
  /** What a key takes that the schema itself does not know. */
  readonly type?: (name: string) => string | null;
  /** A default that the schema itself does not have. */
  readonly default?: (name: string) => string | null;
}

const depthMax = 6;

export function rowsOf(schema: Schema, elsewhere: Elsewhere = {}, prefix = ""): Row[] {
  const map = mapOf(schema);
  if (map === null || prefix.split(".").length > depthMax) return [];
  return Object.entries(map).flatMap(([key, field]) => {
    const name = prefix + key;
    const insides = insidesOf(field);
    const section =
      insides.map(({ schema }) => elsewhere.section?.(schema) ?? null).find((one) => one !== null) ?? null;
    const rows =
      section === null ? insides.flatMap(({ schema, joint }) => rowsOf(schema, elsewhere, name + joint)) : [];
    // What somebody else describes is named in one row.
    const described = rows.filter((row) => row.description !== "");
    return [rowOf(field, { name, section, elsewhere, nested: described.length > 0 }), ...described];
  });
}

interface About {
  readonly name: string;
  readonly section: string | null;
  readonly elsewhere: Elsewhere;
  /** Whether rows of its own follow. */
  readonly nested: boolean;
}

function rowOf(field: Schema, { name, section, elsewhere, nested }: About): Row {
  const isMap = nested && inputOf(field)._zod.def.type === "object";
  const type = elsewhere.type?.(name) ?? linked(field, section) ?? (isMap ? "a map" : wordsOf(field));
  return {
    name,
    type,
    default: isOptional(field) ? (elsewhere.default?.(name) ?? defaultWords(field)) : "required",
    description: escaped(descriptionOf(field)),
  };
}

function linked(field: Schema, section: string | null): string | null {
  const joint = section === null ? undefined : insidesOf(field)[0]?.joint;
  if (joint === "[].") return `a list of ${section}`;
  return joint === ".NAME." ? `a map from names to ${section}` : section;
}

/** The outermost, through all that is wrapped around a value. */
export function descriptionOf(schema: Schema): string {
  const said = (schema as z.ZodType).description;
  if (said !== undefined) return said;
  const inner = markOf(schema) === null ? innerOf(schema) : null;
  return inner === null ? "" : descriptionOf(inner);
}

interface Inside {
  readonly schema: Schema;
  /** Between the names of the two. */
  readonly joint: string;
}

/** The maps that a value can be, or of which it is a list, or that it has by names. */
function insidesOf(schema: Schema): readonly Inside[] {
  if (markOf(schema) !== null) return [];
  const { def } = schema._zod as z.core.$ZodTypes["_zod"];
  switch (def.type) {
    case "object":
      return [{ schema, joint: "." }];
    case "array":
      return deeper(def.element, "[]");
    case "record":
      return deeper(def.valueType, ".NAME");
    case "union":
      return def.options.flatMap(insidesOf);
    default: {
      const inner = innerOf(schema);
      return inner === null ? [] : insidesOf(inner);
    }
  }
}

function deeper(schema: Schema, step: string): readonly Inside[] {
  return insidesOf(schema).map((inside) => ({ schema: inside.schema, joint: step + inside.joint }));
}

/** The first map that a value can be. */
function mapOf(schema: Schema): Readonly<Record<string, Schema>> | null {
  const { def } = (insidesOf(schema)[0]?.schema._zod ?? {}) as Partial<z.core.$ZodTypes["_zod"]>;
  return def?.type === "object" ? def.shape : null;
}

export function table(rows: readonly Row[], noun: "option" | "key"): string {
  const lines = rows.map(
    (row) => `| ${code(row.name)} | ${row.type} | ${row.default} | ${row.description} |`,
  );
  return [`| ${noun} | takes | default | |`, "|---|---|---|---|", ...lines].join("\n");
}
