/**
 * Runs before users' own tests (`clearway plugin test`): their imports of the program's modules are the program's own
 * copies, and `Request` and `Response` are what a node has. Built into one file, which the program carries.
 */
import { provideModules } from "./host/plugin-kit/provided.ts";
import { pluginImports } from "./plugin-imports.ts";
import { installGlobals } from "./runtime/fetch/globals.ts";

installGlobals();
const load = async ([name, loadModule]: readonly [string, () => Promise<object>]) =>
  [name, await loadModule()] as const;
const test = ["clearway/plugin/test", () => import("./plugin-test.ts")] as const;
// All of them now: afterwards their names stand for what is here.
provideModules(new Map(await Promise.all([...pluginImports, test].map(load))));
