/**
 * `npm run build`, second part: dist/clearway.mjs, the program in one file for Node, which needs nothing beside it. Its
 * workers are started from the same file. Names are kept as they are, so that a stack trace in a report can be read.
 */
import { relative } from "node:path";

const root = new URL("..", import.meta.url).pathname;
const outfile = process.argv[2] ?? `${root}dist/clearway.mjs`;

const result = await Bun.build({
  entrypoints: [`${root}src/main.ts`],
  target: "node",
  format: "esm",
  // So that what is for Bun alone is left out.
  define: { Bun: "undefined" },
});
for (const message of result.logs) console.error(String(message));
const [bundle] = result.outputs;
if (!result.success || bundle === undefined) process.exit(1);
const text = await bundle.text();
// The first lines name the program that runs it: that of the source is Bun.
await Bun.write(outfile, text.replace(/^#!.*\n(\/\/ @bun.*\n)?/, "#!/usr/bin/env node\n"), { mode: 0o755 });
const mebibytes = Buffer.byteLength(text) / 1024 / 1024;
console.log(`${relative(process.cwd(), outfile)}  ${mebibytes.toFixed(1)} MiB`);
