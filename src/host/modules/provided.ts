/** What the program provides to users' code: loaded once, and reached from code by its name. */
import type { ProvidedModules } from "../../machine.ts";

/** Under this symbol of `globalThis` code finds the modules that were loaded for it. */
const registryKey = "clearway.imports";
const registry = new Map<string, object>();
Object.defineProperty(globalThis, Symbol.for(registryKey), { value: registry });

/** Throws for a name that is not provided. */
export async function loadProvided(names: Iterable<string>, provided: ProvidedModules): Promise<void> {
  for (const name of names) {
    const load = provided.get(name);
    if (load === undefined) {
      throw new Error(`cannot find ${JSON.stringify(name)} in this version of the program`);
    }
    if (!registry.has(name)) registry.set(name, await load());
  }
}

/** A module in JavaScript that is one which was loaded before. */
export function accessTo(name: string): string {
  const loaded = registry.get(name)!;
  const lines = [`const own = globalThis[Symbol.for("${registryKey}")].get(${JSON.stringify(name)});`];
  // Under names that are no words of the language: zod exports `enum`.
  for (const [index, exported] of Object.keys(loaded).entries()) {
    lines.push(`const own${index} = own.${exported}; export { own${index} as ${exported} };`);
  }
  return lines.join("\n");
}
