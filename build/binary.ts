/**
 * `npm run build`: dist/clearway, one file. It reads no `.env` and no `bunfig.toml` of the folder it stands in, and
 * its code is compiled ahead: see docs/decisions/process-model.md for what that buys. Names are kept as they are, so
 * that a stack trace in a report can be read. It reads `package.json`: packages that a config names say there what their
 * files are. Beside its code it carries what `clearway plugin` needs: src/host/plugin-kit.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { packTypes } from "./plugin-types.ts";

const root = new URL("..", import.meta.url).pathname;
const outfile = process.argv[2] ?? `${root}dist/clearway`;

const folder = mkdtempSync(join(tmpdir(), "clearway-build-"));
try {
  await build(await writeKit());
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const mebibytes = statSync(outfile).size / 1024 / 1024;
console.log(`${relative(process.cwd(), outfile)}  ${mebibytes.toFixed(1)} MiB`);

/** Returns the paths of the files to be carried. */
async function writeKit(): Promise<string[]> {
  const [preload] = await built({
    entrypoints: [`${root}src/plugin-test-preload.ts`],
    target: "bun",
    format: "esm",
  });
  const types = join(folder, "plugin-types.kit");
  const test = join(folder, "plugin-test.kit");
  await Bun.write(types, Bun.gzipSync(JSON.stringify(await packTypes()), { level: 9 }));
  await Bun.write(test, await preload!.text());
  return [types, test];
}

async function build(kit: readonly string[]): Promise<void> {
  await built({
    entrypoints: [`${root}src/main.ts`, ...kit],
    loader: { ".kit": "file" },
    naming: { asset: "[name].[ext]" },
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false, autoloadPackageJson: true },
    target: "bun",
    format: "esm",
    bytecode: true,
    // What only a plugin imports is loaded by nobody else: in one piece it cost every process of a node 25 ms at its start.
    splitting: true,
  });
}

async function built(config: Bun.BuildConfig): Promise<Bun.BuildArtifact[]> {
  const result = await Bun.build(config);
  for (const message of result.logs) console.error(String(message));
  if (!result.success) throw new Error(`cannot build ${config.entrypoints[0]}`);
  return result.outputs;
}
