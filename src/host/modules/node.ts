// Not by name: a bundle for Bun, which has no registerHooks, would not start.
import nodeModule from "node:module";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Modules } from "../../machine.ts";
import { hasPackage } from "./packages.ts";

/** Node resolves for the module that asks; while this is set, it resolves for that folder. */
let askingUrl: string | null = null;
let hooked = false;

/** As an `import` in that folder would: the package's `exports` for `import` count. */
function findAsImport(name: string, folder: string): string {
  if (!hooked) {
    hooked = true;
    nodeModule.registerHooks({
      resolve: (specifier, context, next) =>
        askingUrl === null ? next(specifier, context) : next(specifier, { ...context, parentURL: askingUrl }),
    });
  }
  askingUrl = `${pathToFileURL(folder)}/`;
  try {
    return fileURLToPath(import.meta.resolve(name));
  } finally {
    askingUrl = null;
  }
}

/** Deno does not ask hooks here; there, a package that has files for `import` alone is not found. */
function findAsRequire(name: string, folder: string): string {
  return nodeModule.createRequire(`${folder}/`).resolve(name);
}

export const nodeModules: Modules = {
  find(name, folder) {
    if (!hasPackage(name, folder)) return null;
    const find = process.versions.deno === undefined ? findAsImport : findAsRequire;
    try {
      return find(name, resolve(folder));
    } catch {
      return null;
    }
  },
  load: (file) => import(pathToFileURL(file).href),
};
