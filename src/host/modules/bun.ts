import { resolve } from "node:path";
import type { Modules } from "../../machine.ts";
import { hasPackage } from "./packages.ts";

export const bunModules: Modules = {
  find(name, folder) {
    if (!hasPackage(name, folder)) return null;
    try {
      return Bun.resolveSync(name, resolve(folder));
    } catch {
      return null;
    }
  },
  load: (file) => import(file),
};
