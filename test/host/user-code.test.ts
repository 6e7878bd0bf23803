/** Files of users' own as Bun bundles and runs them: what they may import, and what is one copy with the program. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import denoJson from "../../deno.json" with { type: "json" };
import honoPackage from "../../node_modules/hono/package.json" with { type: "json" };
import packageJson from "../../package.json" with { type: "json" };
import { systemFiles } from "../../src/host/files/node.ts";
import { bunUserCode } from "../../src/host/modules/bun-code.ts";
import { pluginImports } from "../../src/plugin-imports.ts";
import { writePackage } from "../packages.ts";

const code = bunUserCode(pluginImports);
let folder: string;

async function read(files: Readonly<Record<string, string>>, entry = "own.ts") {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const paths: string[] = [];
  const noted = {
    read(path: string) {
      paths.push(path.slice(folder.length + 1));
      return systemFiles.read(path);
    },
  };
  return { ...(await code.read(join(folder, entry), noted)), paths: [...new Set(paths)].sort() };
}

async function run(files: Readonly<Record<string, string>>, entry?: string) {
  const result = await read(files, entry);
  if (!result.ok) throw new Error(result.faults.map(({ message }) => message).join("; "));
  return { ...result, exported: await code.run(result.source, result.version) };
}

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "clearway-user-code-")));
  // Before anything is bundled: Bun remembers for the life of a process what a folder has.
  await writePackage(folder, "modern", {
    "index.js": 'export { z } from "zod"; export { Hono } from "hono";',
  });
  await writePackage(
    folder,
    "@shop/common",
    { "main.js": 'exports.cors = require("hono/cors").cors;' },
    { type: "commonjs", exports: undefined, main: "main.js" },
  );
});
afterAll(() => rm(folder, { recursive: true }));

test("pluginImports has every module of Hono but its adapters for other platforms", () => {
  const adapters = [
    "cloudflare-workers",
    "cloudflare-pages",
    "deno",
    "bun",
    "aws-lambda",
    "vercel",
    "netlify",
  ];
  const without = [...adapters, "lambda-edge", "service-worker", "utils/*"].map((name) => `./${name}`);
  const wanted = Object.keys(honoPackage.exports)
    .filter((path) => !without.includes(path))
    .map((path) => `hono${path.slice(1)}`);
  for (const name of wanted) expect([...pluginImports.keys()]).toContain(name);
  for (const path of without) expect([...pluginImports.keys()]).not.toContain(`hono${path.slice(1)}`);
});

test("every module that the program provides is the program's own, with all that it exports", async () => {
  const names = [...pluginImports.keys()];
  const imports = names.map((name, index) => `import * as module${index} from "${name}";`);
  const text = `${imports.join("\n")}\nexport default [${names.map((_, index) => `module${index}`).join(", ")}];\n`;
  const { exported } = await run({ "own.ts": text });
  const modules = exported.default as Record<string, unknown>[];
  for (const [index, name] of names.entries()) {
    const own = (await pluginImports.get(name)!()) as Record<string, unknown>;
    const differing = Object.keys(own).filter((key) => own[key] !== modules[index]?.[key]);
    expect([name, differing]).toEqual([name, []]);
  }
});

test("packages of its own are found, and they too get the program's modules", async () => {
  const text = `import { cors as own } from "hono/cors";
import { z as zod } from "zod";
import common from "@shop/common";
import { Hono, z } from "modern";
import { Hono as host } from "hono";
export default [z === zod, Hono === host, common.cors === own];
`;
  const { exported, paths } = await run({ "deep/own.ts": text }, "deep/own.ts");
  expect(exported.default).toEqual([true, true, true]);
  expect(paths).toEqual([
    "deep/own.ts",
    "node_modules/@shop/common/package.json",
    "node_modules/modern/package.json",
  ]);
});

test("data and text are part of the bundle", async () => {
  const text =
    'import table from "./table.json";\nimport words from "./words.txt";\nexport default [table.a, words];\n';
  const { exported, paths } = await run({ "own.ts": text, "table.json": '{ "a": 1 }', "words.txt": "two" });
  expect(exported.default).toEqual([1, "two"]);
  expect(paths).toEqual(["own.ts", "table.json", "words.txt"]);
});

test("JSX is Hono's, unless the file says otherwise", async () => {
  const text = "export default String(<b>{1 + 1}</b>);\n";
  expect((await run({ "page.tsx": text }, "page.tsx")).exported.default).toBe("<b>2</b>");
  const other = await read({ "page.tsx": `/** @jsxImportSource elsewhere */\n${text}` }, "page.tsx");
  expect(other).toMatchObject({
    ok: false,
    faults: [{ message: 'cannot find "elsewhere/jsx-runtime"', place: { line: 1, column: 1, text: null } }],
  });
});

test("the version is another one after a change of what is imported, and the same when it is undone", async () => {
  const text = 'import { value } from "./value.ts";\nexport default value;\n';
  const first = await run({ "own.ts": text, "value.ts": "export const value = 1;\n" });
  const second = await run({ "value.ts": "export const value = 2;\n" });
  const third = await run({ "value.ts": "export const value = 1;\n" });
  expect([first, second, third].map(({ exported }) => exported.default)).toEqual([1, 2, 1]);
  expect(first.version).toMatch(/^[0-9a-f]{12}$/);
  expect(second.version).not.toBe(first.version);
  expect(third.version).toBe(first.version);
});

test("an error names the user's file and line", async () => {
  const inside =
    "type Nothing = never;\n\nexport function fail(): Nothing {\n  throw new Error('here');\n}\n";
  const { exported } = await run({
    "own.ts": 'export { fail as default } from "./inside.ts";\n',
    "inside.ts": inside,
  });
  let stack = "";
  try {
    (exported.default as () => void)();
  } catch (error) {
    stack = (error as Error).stack ?? "";
  }
  expect(stack).toContain(`${join(folder, "inside.ts")}:4:`);
});

test("several faults are told, each at its place", async () => {
  const result = await read({ "own.ts": 'import "left-pad";\nimport "hono/bun-native";\n' });
  expect(result).toMatchObject({
    ok: false,
    faults: [
      {
        message: 'cannot find "left-pad"',
        place: { line: 1, column: 8, text: 'import "left-pad";', length: 10 },
      },
      { message: 'cannot find "hono/bun-native"', place: { line: 2, column: 8 } },
    ],
  });
});

test("more than 8 MiB is refused", async () => {
  const data = JSON.stringify({ text: "x".repeat(8 * 1024 * 1024) });
  const result = await read({
    "own.ts": 'import data from "./data.json";\nexport default data;\n',
    "data.json": data,
  });
  expect(result).toMatchObject({
    ok: false,
    faults: [{ message: "with all that it imports it has 8.0 MiB: wanted at most 8 MiB" }],
  });
});

test("deno.json names the versions of package.json", () => {
  const { hono, zod } = packageJson.dependencies;
  expect(denoJson.imports).toMatchObject({
    hono: `npm:hono@${hono}`,
    "hono/": `npm:/hono@${hono}/`,
    zod: `npm:zod@${zod}`,
    "zod/": `npm:/zod@${zod}/`,
  });
});
