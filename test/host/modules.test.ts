/** Packages as each host finds them; what is only Node's is tried on the pinned Node. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunModules } from "../../src/host/modules/bun.ts";
import { writePackage } from "../packages.ts";

let folder: string;
const inModules = (path: string) => join(folder, "node_modules", path);

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "clearway-modules-")));
  await mkdir(join(folder, "config", "deep"), { recursive: true });
  const both = { ".": { import: "./import.js", require: "./require.cjs" }, "./part": "./part.js" };
  await writePackage(
    folder,
    "@shop/both",
    { "import.js": "export default 1;", "part.js": "" },
    { exports: both },
  );
  await writePackage(
    folder,
    "common",
    { "main.js": "module.exports = () => 'common'; module.exports.other = 2;" },
    { type: "commonjs", exports: undefined, main: "main.js" },
  );
  await writePackage(folder, "throws", { "index.js": "throw new Error('no luck');" });
});
afterAll(() => rm(folder, { recursive: true }));

/** What to look for from which folder, and the file in node_modules that it is. */
const wanted = [
  ["@shop/both", "", "@shop/both/import.js"],
  ["@shop/both", "config/deep", "@shop/both/import.js"],
  ["@shop/both/part", "", "@shop/both/part.js"],
  ["@shop/both/other", "", null],
  ["common", "", "common/main.js"],
  ["not-there", "", null],
  // The host has such modules itself; they are no packages.
  ["fs", "", null],
] as const;

describe("bunModules", () => {
  test("finds what an import in the folder would", () => {
    for (const [name, from, file] of wanted) {
      const found = bunModules.find(name, join(folder, from));
      expect([name, found]).toEqual([name, file === null ? null : inModules(file)]);
    }
  });

  test("loads what a file exports, and says what it throws", async () => {
    expect(await bunModules.load(inModules("@shop/both/import.js"))).toMatchObject({ default: 1 });
    const common = await bunModules.load(inModules("common/main.js"));
    expect((common.default as () => string)()).toBe("common");
    await expect(bunModules.load(inModules("throws/index.js"))).rejects.toThrow("no luck");
  });
});

test("nodeModules finds the same on Node", async () => {
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, "../../src/host/modules/node.ts")],
    target: "node",
    outdir: folder,
    naming: "node-modules.mjs",
  });
  expect(built.success).toBe(true);
  const script = `
    import { nodeModules } from "./node-modules.mjs";
    const wanted = ${JSON.stringify(wanted)};
    const found = wanted.map(([name, from]) => nodeModules.find(name, ${JSON.stringify(folder)} + "/" + from));
    const { default: one } = await nodeModules.load(found[0]);
    console.log(JSON.stringify({ found, one }));
  `;
  await Bun.write(join(folder, "find.mjs"), script);
  const { stdout, exitCode } = Bun.spawnSync([pinnedNode, join(folder, "find.mjs")]);
  expect(exitCode).toBe(0);
  const { found, one } = JSON.parse(String(stdout));
  expect(found).toEqual(wanted.map(([, , file]) => (file === null ? null : inModules(file))));
  expect(one).toBe(1);
});

const pinnedNode = join(import.meta.dir, "../../node_modules/.bin/node");
