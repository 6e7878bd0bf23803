/** From what a user's file exports to a filter, or to what is wrong with it. */
import type { RefusedFilter } from "../../filter-lookup.ts";
import type { FilterDefinition } from "../../types.ts";

const wrapHint =
  'wrap a Hono middleware: export default defineFilter({ name: "tenant", summary: "…", options: z.strictObject({}), middleware: () => yours })';

export function definitionIn(exported: Readonly<Record<string, unknown>>): FilterDefinition | RefusedFilter {
  const found = exported.default;
  if (found === undefined) {
    const other = Object.keys(exported).find((name) => isDefinition(exported[name]));
    const hint = other === undefined ? "" : `; it exports one as \`${other}\``;
    return {
      refused: "it has no default export",
      hints: [`wanted: export default defineFilter({ … })${hint}`],
    };
  }
  if (typeof found === "function") {
    return { refused: "its default export is a function: wanted what defineFilter makes", hints: [wrapHint] };
  }
  if (!isDefinition(found)) {
    return {
      refused: "its default export is no filter: wanted what defineFilter makes",
      hints: ['import { defineFilter, z } from "clearway/plugin"'],
    };
  }
  return found;
}

/** Also one that plain JavaScript made without `defineFilter`. */
function isDefinition(value: unknown): value is FilterDefinition {
  if (typeof value !== "object" || value === null) return false;
  const { name, options, middleware, upstream } = value as Readonly<Record<string, unknown>>;
  const shapes = [middleware, upstream].filter((shape) => typeof shape === "function");
  return typeof name === "string" && shapes.length === 1 && isSchema(options);
}

function isSchema(value: unknown): boolean {
  return typeof value === "object" && value !== null && "_zod" in value && "safeParse" in value;
}
