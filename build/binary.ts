/**
 * `npm run build`: dist/clearway, one file. It reads no `.env` and no `bunfig.toml` of the folder it stands in, and
 * its code is compiled ahead: see docs/decisions/process-model.md for what that buys. Names are kept as they are, so
 * that a stack trace in a report can be read. It reads `package.json`: packages that a config names say there what their
 * files are.
 */
import { statSync } from "node:fs";
import { relative } from "node:path";

const root = new URL("..", import.meta.url).pathname;
const outfile = process.argv[2] ?? `${root}dist/clearway`;

const result = await Bun.build({
  entrypoints: [`${root}src/main.ts`],
  compile: { outfile, autoloadDotenv: false, autoloadBunfig: false, autoloadPackageJson: true },
  target: "bun",
  format: "esm",
  bytecode: true,
});
for (const message of result.logs) console.error(String(message));
if (!result.success) process.exit(1);
const mebibytes = statSync(outfile).size / 1024 / 1024;
console.log(`${relative(process.cwd(), outfile)}  ${mebibytes.toFixed(1)} MiB`);
