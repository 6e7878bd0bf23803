import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/**
 * Whether a `node_modules` of this folder, or of one above it, has the package. Asked before a host is: it would also
 * find modules of its own by such a name, and Bun would fetch from the registry what is not there.
 */
export function hasPackage(name: string, folder: string): boolean {
  const [first = "", second = ""] = name.split("/");
  const packageName = first.startsWith("@") ? `${first}/${second}` : first;
  let here = resolve(folder);
  for (;;) {
    if (existsSync(join(here, "node_modules", packageName))) return true;
    const above = dirname(here);
    if (above === here) return false;
    here = above;
  }
}
