/** The grammar of a mesh document as a JSON Schema. */
import type { FilterRegistry } from "../../types.ts";
import { grammarJsonSchema } from "../json-schema.ts";
import { filterKeys, meshRootGrammar } from "./grammar.ts";

export function documentJsonSchema(filters: FilterRegistry): object {
  const options = new Map(
    Object.entries(filterKeys).flatMap(([name, schema]) =>
      filters.has(name) ? [[schema, name] as const] : [],
    ),
  );
  return grammarJsonSchema(filters, { grammar: meshRootGrammar, title: "Clearway mesh document", options });
}
