import { expect, test } from "bun:test";
import { type PluginVerb, pluginCommand } from "../../src/cli/plugin.ts";

/** The verb on a folder in memory: what it said, and what is there afterwards. */
async function obey(text: string, before: Readonly<Record<string, string>> = {}) {
  const files = new Map(Object.entries(before));
  const said: string[] = [];
  const runs: object[] = [];
  const say = (line: string) => void said.push(line);
  const verb: PluginVerb = {
    terminal: { out: say, error: say, interactive: { out: false, error: false } },
    files: {
      list: async (folder) =>
        [...files.keys()]
          .filter((path) => path.startsWith(folder.replace(/^\.\//, "").replace(/\/?$/, "/")))
          .map((path) => path.slice(path.lastIndexOf("/") + 1)),
      read: async (path) => files.get(path)!,
      async writeNew(path, content) {
        if (files.has("plugins")) throw new Error("EEXIST: file already exists, mkdir 'plugins'");
        if (files.has(path)) return false;
        files.set(path, content);
        return true;
      },
      async replaceFolder(folder, texts) {
        for (const path of files.keys()) if (path.startsWith(`${folder}/`)) files.delete(path);
        for (const [name, content] of Object.entries(texts)) files.set(`${folder}/${name}`, content);
      },
    },
    kit: async () => ({
      types: async () => ({ "hono/index.d.ts": "new" }),
      async test(run) {
        runs.push(run);
        return 3;
      },
    }),
    needsBun: () => 9,
  };
  let code = -1;
  await pluginCommand(verb, (given) => {
    code = given;
  }).parseAsync(text.split(" "), { from: "user" });
  return { code, said: said.join("\n"), files: Object.fromEntries(files), runs };
}

test("new writes a filter, its test, a README and the types", async () => {
  const { code, said, files } = await obey("new tenant");
  expect([code, Object.keys(files).sort()]).toEqual([
    0,
    [
      ".clearway/plugin.types/hono/index.d.ts",
      ".clearway/plugin.types/tsconfig.json",
      "plugins/README.md",
      "plugins/tenant.test.ts",
      "plugins/tenant.ts",
      "tsconfig.json",
    ],
  ]);
  expect(files["plugins/tenant.ts"]).toContain("middleware: (options, tools) => async (c, next) =>");
  expect(said).toContain("filters: [{ ./plugins/tenant.ts: { value: blue } }]");
});

test("new --upstream writes the other shape", async () => {
  const { files } = await obey("new tenant --upstream");
  expect(files["plugins/tenant.ts"]).toContain("upstream: (options, tools) => async (call, send) =>");
  expect(files["plugins/tenant.test.ts"]).toContain("filter.received[0]?.headers");
});

test("new leaves everything as it is when the filter is there", async () => {
  const before = { "plugins/tenant.ts": "mine" };
  const { code, said, files } = await obey("new tenant", before);
  expect([code, files]).toEqual([1, before]);
  expect(said).toBe(
    "clearway: cannot write plugins/tenant.ts: it is there already, and is kept; wanted another name",
  );
});

test("new keeps what is there and says so, but makes the types anew", async () => {
  const before = {
    "plugins/tenant.test.ts": "mine",
    "plugins/README.md": "mine",
    "tsconfig.json": "{}",
    ".clearway/plugin.types/hono/index.d.ts": "old",
    ".clearway/plugin.types/hono/gone.d.ts": "old",
  };
  const { code, said, files } = await obey("new tenant", before);
  expect(code).toBe(0);
  expect(said).toContain("kept plugins/tenant.test.ts, its test");
  expect(said).toContain(
    'kept tsconfig.json: for the types it needs "extends": "./.clearway/plugin.types/tsconfig.json"',
  );
  expect(files).toMatchObject({
    "plugins/tenant.test.ts": "mine",
    "plugins/README.md": "mine",
    "tsconfig.json": "{}",
    ".clearway/plugin.types/hono/index.d.ts": "new",
  });
  expect(Object.keys(files)).not.toContain(".clearway/plugin.types/hono/gone.d.ts");
});

test("new says nothing of a tsconfig.json that has the types", async () => {
  const { said } = await obey("types", {
    "tsconfig.json": '{ "extends": "./.clearway/plugin.types/tsconfig.json" }',
  });
  expect(said).toBe("wrote .clearway/plugin.types, the types for an editor");
});

for (const [name, meant] of [
  ["plugins/Tenant.ts", "tenant"],
  ["byHost", "by-host"],
  ["a--b", "a-b"],
  ["-x-", "x"],
  ["a.test.ts", "a"],
  ["../../etc", "etc"],
  ["9", null],
  ["é", null],
  ["x".repeat(64), null],
] as const) {
  test(`new refuses the name ${name}`, async () => {
    const { code, said, files } = await obey(`new -- ${name}`);
    expect([code, files]).toEqual([1, {}]);
    expect(said).toStartWith(`clearway: cannot call a filter ${JSON.stringify(name)}: wanted small letters`);
    expect(said.includes("did you mean")).toBe(meant !== null);
    if (meant !== null) expect(said).toEndWith(`did you mean ${meant}?`);
  });
}

test("test runs all tests in plugins/, and gives their exit code on", async () => {
  const files = { "plugins/a.ts": "", "plugins/a.test.ts": "", "plugins/b.test.js": "", "c.test.ts": "" };
  const { code, runs } = await obey("test", files);
  expect([code, runs]).toEqual([
    3,
    [{ files: ["./plugins/a.test.ts", "./plugins/b.test.js"], mode: "once" }],
  ]);
});

test("test runs the files that are named", async () => {
  const files = { "plugins/a.test.ts": "", "plugins/b.test.ts": "" };
  const { runs } = await obey("test --watch plugins/b.test.ts ./plugins/a.test.ts", files);
  expect(runs).toEqual([{ files: ["./plugins/b.test.ts", "./plugins/a.test.ts"], mode: "watch" }]);
});

test("test says when there is nothing to test", async () => {
  const none = await obey("test", { "plugins/a.ts": "" });
  expect([none.code, none.runs]).toEqual([1, []]);
  expect(none.said).toContain("no file plugins/*.test.ts is here");
  const missing = await obey("test plugins/b.test.ts", { "plugins/a.test.ts": "" });
  expect([missing.code, missing.said]).toEqual([
    1,
    'clearway: cannot test "plugins/b.test.ts": it is not there',
  ]);
});

test("new says what keeps it from writing", async () => {
  const { code, said } = await obey("new tenant", { plugins: "a file" });
  expect([code, said]).toEqual([
    1,
    "clearway: plugin new cannot go on: EEXIST: file already exists, mkdir 'plugins'",
  ]);
});
