/** Packages for tests that install some. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Puts a package into the folder's node_modules: an ES module whose entry is index.js, unless `facts` say otherwise. */
export async function writePackage(
  folder: string,
  name: string,
  files: Readonly<Record<string, string>>,
  facts: object = {},
): Promise<void> {
  const home = join(folder, "node_modules", name);
  const manifest = { name, version: "1.0.0", type: "module", exports: "./index.js", ...facts };
  for (const [path, text] of Object.entries({ "package.json": JSON.stringify(manifest), ...files })) {
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), text);
  }
}
