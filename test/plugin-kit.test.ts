/** `clearway plugin` as somebody meets it who has the program, an empty folder and nothing else. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, start, startClearway } from "./program.ts";

let folder: string;
let binary: string;
/** Nothing of this machine helps: no other program, no home, no cache of packages. */
const alone = { PATH: "/nonexistent", HOME: "/nonexistent", BUN_INSTALL_CACHE_DIR: "/nonexistent" };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-kit-"));
  binary = join(folder, "clearway");
  const build = start([process.execPath, join(root, "build/binary.ts"), binary]);
  expect({ code: await build.ended, output: build.output() }).toMatchObject({ code: 0 });
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

interface Ended {
  readonly code: number;
  readonly output: string;
}

const programs = {
  "the compiled program": (args: readonly string[], place: string) =>
    start([binary, ...args], { folder: place, environment: alone }),
  "the program from source": (args: readonly string[], place: string) =>
    startClearway(args, { folder: place }),
};

for (const [name, startProgram] of Object.entries(programs)) {
  describe(name, () => {
    let place: string;
    const clearway = async (...args: string[]): Promise<Ended> => {
      const running = startProgram(args, place);
      return { code: await running.ended, output: running.output() };
    };
    const compile = async (): Promise<Ended> => {
      const compiler = start([process.execPath, join(root, "node_modules/typescript/bin/tsc"), "-p", "."], {
        folder: place,
      });
      return { code: await compiler.ended, output: compiler.output() };
    };
    const change = async (path: string, [before, after]: readonly [string, string]) => {
      const text = await readFile(join(place, path), "utf8");
      expect(text).toContain(before);
      await writeFile(join(place, path), text.replace(before, after));
    };

    beforeAll(async () => {
      place = await mkdtemp(join(folder, "empty-"));
    });

    test("writes filters of both shapes, whose tests pass and whose types are right", async () => {
      expect(await clearway("plugin", "new", "tenant")).toMatchObject({ code: 0 });
      expect(await clearway("plugin", "new", "canary", "--upstream")).toMatchObject({ code: 0 });
      const tested = await clearway("plugin", "test");
      expect(tested.output).not.toContain("warn");
      expect(tested).toMatchObject({ code: 0, output: expect.stringMatching(/\b4 pass\n\s*0 fail\n/) });
      expect(await compile()).toEqual({ code: 0, output: "" });
    }, 60_000);

    test("fails where a test fails, and shows what was expected", async () => {
      await change("plugins/tenant.test.ts", ['toBe("blue")', 'toBe("red")']);
      const { code, output } = await clearway("plugin", "test", "plugins/tenant.test.ts");
      expect([code, output.match(/Expected: "red"\nReceived: "blue"/)?.length]).toEqual([1, 1]);
      await change("plugins/tenant.test.ts", ['toBe("red")', 'toBe("blue")']);
    }, 60_000);

    test("has types by which mistakes are seen", async () => {
      const mistakes: readonly (readonly [string, string, string])[] = [
        ["plugins/tenant.ts", "c.header(", "c.heeder("],
        ["plugins/tenant.ts", "options.value)", "options.valu)"],
        ["plugins/canary.ts", "tools.metrics.count(", "tools.metrics.cont("],
        ["plugins/tenant.test.ts", '{ value: "blue" });', '{ valeu: "blue" });'],
        ["plugins/canary.test.ts", "filter.received", "filter.recieved"],
      ];
      for (const [path, before, after] of mistakes) await change(path, [before, after]);
      const { output } = await compile();
      for (const [path, before, after] of mistakes) await change(path, [after, before]);
      const found = output.match(/^plugins\/[\w.]+\(\d+,\d+\): error/gm) ?? [];
      expect(found.map((line) => line.replace(/\(.*/, "")).sort()).toEqual(
        mistakes.map(([path]) => path).sort(),
      );
    }, 60_000);

    test("gives tests and filters one copy of hono and zod, the program's", async () => {
      await mkdir(join(place, "node_modules/hono"), { recursive: true });
      await writeFile(join(place, "node_modules/hono/index.js"), 'throw new Error("another Hono");\n');
      await writeFile(
        join(place, "plugins/copies.test.ts"),
        `import { expect, test } from "bun:test";
import { defineFilter, z } from "clearway/plugin";
import { testFilter } from "clearway/plugin/test";
import { type Context, Hono } from "hono";
import { getCookie } from "hono/cookie";
import { z as zod } from "zod";

const filter = defineFilter({
  name: "copies",
  summary: "Answers with a cookie",
  options: z.strictObject({}),
  middleware: () => async (c: Context) => c.text(getCookie(c, "a") ?? "none"),
});

test("copies", async () => {
  expect(zod.string).toBe(z.string);
  await using chain = testFilter(filter, {}, { service: new Hono(), after: ["hono/cors"] });
  const response = await chain.request("/", { headers: { cookie: "a=b" } });
  expect([await response.text(), response instanceof Response]).toEqual(["b", true]);
});
`,
      );
      expect(await clearway("plugin", "test", "./plugins/copies.test.ts")).toMatchObject({ code: 0 });
      expect(await compile()).toEqual({ code: 0, output: "" });
    }, 60_000);

    test("does not hand on that it is Bun for once", async () => {
      const text = `import { expect, test } from "bun:test";
test("environment", () => expect(process.env.BUN_BE_BUN).toBeUndefined());
`;
      await writeFile(join(place, "plugins/environment.test.js"), text);
      expect(await clearway("plugin", "test", "plugins/environment.test.js")).toMatchObject({ code: 0 });
    }, 60_000);

    test("fetches nothing from a registry", async () => {
      await writeFile(join(place, "plugins/lodash.test.ts"), 'import "lodash";\n');
      const { code, output } = await clearway("plugin", "test", "plugins/lodash.test.ts");
      expect([code, output.includes("lodash")]).toEqual([1, true]);
    }, 60_000);
  });
}
