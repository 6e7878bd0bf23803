/** `npm:PACKAGE`, `npm:PACKAGE/PART#EXPORT`: a function of a package that makes a Hono middleware, as a filter. */
import type { FilterFamily, RefusedFilter } from "../filter-lookup.ts";
import type { Modules } from "../machine.ts";
import type { FilterDefinition } from "../types.ts";

/** A scope, a name, and maybe a part of the package. */
const packageName = /^(@[\w~-][\w.~-]*\/)?[\w~-][\w.~-]*(\/[\w~-][\w.~-]*)*$/;
const prefix = "npm:";
const shownExportsMax = 20;

export interface NpmParts {
  readonly modules: Modules;
  makeFilter(name: string, factory: (...given: unknown[]) => never): FilterDefinition;
}

export function npmFilters({ modules, makeFilter }: NpmParts): FilterFamily {
  return {
    takes: (name) => name.startsWith(prefix),
    names: [],
    async find(name, folder) {
      const [module = "", wanted = "default"] = name.slice(prefix.length).split("#");
      if (!packageName.test(module)) {
        return refusal(`${JSON.stringify(module)} is no name of a package`, [
          "wanted npm:PACKAGE, or npm:PACKAGE#EXPORT",
        ]);
      }
      const file = modules.find(module, folder);
      if (file === null) {
        const place = folder === "" ? "the current folder" : JSON.stringify(folder);
        return refusal(
          `no node_modules of ${place}, or of a folder above it, has ${JSON.stringify(module)}`,
          ["install it there with npm install"],
        );
      }
      let exported: Readonly<Record<string, unknown>>;
      try {
        exported = await modules.load(file);
      } catch (error) {
        return refusal(`${file} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`);
      }
      const found = Object.hasOwn(exported, wanted) ? exported[wanted] : undefined;
      if (typeof found === "function") return makeFilter(name, found as () => never);
      return refusal(faultOf(found, wanted, module), exportHints(exported));
    },
  };
}

function refusal(refused: string, hints: readonly string[] = []): RefusedFilter {
  return { refused, hints };
}

function faultOf(found: unknown, name: string, module: string): string {
  const what = name === "default" ? "default export" : `export "${name}"`;
  if (found === undefined) return `${module} has no ${what}`;
  return `the ${what} of ${module} is no function: wanted one that makes a middleware`;
}

/** The functions that it does export. */
function exportHints(exported: Readonly<Record<string, unknown>>): string[] {
  const names = Object.keys(exported).filter((name) => typeof exported[name] === "function");
  if (names.length === 0) return [];
  const shown = names.slice(0, shownExportsMax).join(", ");
  return [`its functions are: ${shown}; name one behind a #`];
}
