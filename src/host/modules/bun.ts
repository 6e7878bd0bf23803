import { resolve } from "node:path";
import type { Modules } from "../../types.ts";

export const bunModules: Modules = {
  find(name, folder) {
    try {
      return Bun.resolveSync(name, resolve(folder));
    } catch {
      return null;
    }
  },
  load: (file) => import(file),
};
