/** The grammar as a JSON Schema (draft-7), for editors: completion, descriptions, and the first warnings. */
import { z } from "zod";
import type { FilterDefinition, FilterRegistry } from "../types.ts";
import { listenerFilter, rootGrammar, routeFilter } from "./grammar.ts";
import { writtenDefault } from "./marks.ts";

type JsonSchema = z.core.JSONSchema.JSONSchema;

/** A value may be left to the environment wherever text, a number or a boolean is wanted. */
const reference = "\\$\\{";

const extras: Record<string, JsonSchema> = {
  id: { type: "string", description: "Tells several entries of one filter apart" },
  onError: {
    enum: ["fail", "open"],
    default: "fail",
    description: "What happens when the filter throws: fail answers 500, open goes on without it",
  },
};

export function configJsonSchema(filters: FilterRegistry): object {
  return grammarJsonSchema(filters, { grammar: rootGrammar, title: "Clearway configuration" });
}

export interface SchemaParts {
  readonly grammar: z.ZodType;
  readonly title: string;
  /** Filters whose options stand behind keys of their own, by what stands there in the grammar. */
  readonly options?: ReadonlyMap<z.core.$ZodType, string>;
}

export function grammarJsonSchema(filters: FilterRegistry, parts: SchemaParts): object {
  const definitions: Record<string, JsonSchema> = {};
  const known = [...filters.values()];
  const downstream = known.filter((filter) => filter.middleware !== undefined);
  for (const filter of known) define(filter, definitions);
  definitions.listenerFilter = entrySchema(downstream);
  definitions.routeFilter = entrySchema(known);
  const schema = convert(parts.grammar, parts.options);
  return { ...schema, title: parts.title, definitions };
}

/** The name where no option is needed, or a map with one filter's key. */
function entrySchema(filters: readonly FilterDefinition[]): JsonSchema {
  const bare = filters.filter((filter) => standsAlone(filter)).map(({ name }) => name);
  const maps = filters.map(
    ({ name, summary }): JsonSchema => ({
      type: "object",
      description: summary,
      properties: { [name]: { $ref: `#/definitions/${definitionName(name)}` }, ...extras },
      required: [name],
      additionalProperties: false,
    }),
  );
  const known = filters.map(({ name }) => name).filter((name) => new RegExp(foreign).test(name));
  return { oneOf: [...(bare.length > 0 ? [{ enum: bare }] : []), ...maps, ...othersThan(known)] };
}

/** Packages, and files of the user, are known where the config is, not to the schema. */
const foreign = "^(npm:|\\.{0,2}/)";

function othersThan(known: readonly string[]): JsonSchema[] {
  const not = known.length === 0 ? "" : `^(?!(${known.map(literal).join("|")})$)`;
  const pattern = `${not}${foreign}`;
  return [
    { type: "string", pattern },
    {
      type: "object",
      description: "A file of your own, or a middleware of a package",
      properties: extras,
      patternProperties: { [pattern]: {} },
      additionalProperties: false,
      minProperties: 1,
    },
  ];
}

/** As a part of a regular expression. */
function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** In a reference some characters mean something. */
function definitionName(filter: string): string {
  return filter.replaceAll(/[/#:@]/g, ".");
}

function standsAlone({ options }: FilterDefinition): boolean {
  try {
    return options.safeParse(null).success || options.safeParse({}).success;
  } catch {
    // A schema is the filter author's code; one that throws wants to be told more.
    return false;
  }
}

/** The options of a filter; what its schema defines by itself moves up, under the filter's name. */
function define(filter: FilterDefinition, definitions: Record<string, JsonSchema>): void {
  const { $schema, definitions: own = {}, ...options } = convert(filter.options);
  const name = definitionName(filter.name);
  const moved = JSON.stringify({ options, own }).replaceAll('"#/definitions/', `"#/definitions/${name}.`);
  const result = JSON.parse(moved) as { options: JsonSchema; own: Record<string, JsonSchema> };
  definitions[name] = { description: filter.summary, ...result.options };
  for (const [inner, schema] of Object.entries(result.own)) definitions[`${name}.${inner}`] = schema;
}

function convert(schema: z.core.$ZodType, options?: SchemaParts["options"]): JsonSchema {
  return z.toJSONSchema(schema, {
    target: "draft-7",
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema === listenerFilter) jsonSchema.$ref = "#/definitions/listenerFilter";
      else if (zodSchema === routeFilter) jsonSchema.$ref = "#/definitions/routeFilter";
      else if (options?.has(zodSchema))
        jsonSchema.$ref = `#/definitions/${definitionName(options.get(zodSchema)!)}`;
      else adapt(zodSchema, jsonSchema);
    },
  }) as JsonSchema;
}

function adapt(schema: z.core.$ZodType, json: z.core.JSONSchema.BaseSchema): void {
  const meta = (schema as z.ZodType).meta();
  delete json.mark;
  delete json.bounds;
  // Left out by zod where a value is transformed, because it takes them for transformed values.
  if (meta?.examples !== undefined) json.examples = meta.examples as unknown[];
  const { def } = schema._zod as z.core.$ZodTypes["_zod"];
  if (def.type === "default") {
    const written = writtenDefault(schema, def.defaultValue);
    if (typeof written !== "object") json.default = written as string;
  }
  if (json.enum !== undefined) {
    json.anyOf = [{ enum: json.enum }, { type: "string", pattern: reference }];
    delete json.enum;
    delete json.type;
  } else if (json.const !== undefined) {
    delete json.type;
  } else if (json.type === "number" || json.type === "integer" || json.type === "boolean") {
    Object.assign(json, { type: [json.type, "string"], pattern: reference });
  } else if (typeof json.pattern === "string" && !json.pattern.endsWith(reference)) {
    json.pattern = `${json.pattern}|${reference}`;
  }
}
