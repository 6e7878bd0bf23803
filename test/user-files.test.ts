/** Users' own filter files through the real program: served, replaced when they are saved, refused when they are wrong. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { answers, type Running, startClearway, until } from "./program.ts";

let folder: string;
let running: Running;
let web: number;
let admin: number;

const tenant = (value: string) => `import { defineFilter, z, type Tools } from "clearway/plugin";
import { cors } from "hono/cors";
import { z as own } from "zod";
import { suffix } from "./suffix.ts";

enum Kind { plain, cross }

export default defineFilter({
  name: "tenant",
  summary: "Names the tenant",
  options: z.strictObject({ header: z.string() }),
  middleware: ({ header }, _tools: Tools) => async (c, next) => {
    await next();
    c.header(header, ["${value}", suffix, Kind[Kind.cross], z === own, typeof cors()].join(" "));
  },
});
`;

async function save(path: string, text: string): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

const header = async () => (await fetch(`http://127.0.0.1:${web}/`)).headers.get("x-tenant");
const problems = async () =>
  (await (await fetch(`http://127.0.0.1:${admin}/problems`)).json()) as { problems: unknown[] };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-user-files-"));
  [web, admin] = (await freePorts(2)) as [number, number];
  await save("plugins/tenant.ts", tenant("first"));
  await save("plugins/suffix.ts", 'export const suffix: string = "a";\n');
  await save(
    "clearway.yaml",
    `admin: 127.0.0.1:${admin}
drain: 1s
listeners:
  web:
    bind: 127.0.0.1:${web}
    routes:
      - match: { path: /* }
        filters: [./plugins/tenant.ts: { header: x-tenant }]
        respond: { status: 200, body: ok }
`,
  );
  running = startClearway(["run", "-c", "clearway.yaml"], { folder });
  await answers(`http://127.0.0.1:${web}/`, running);
});

afterAll(async () => {
  await running?.stop();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  await save("plugins/suffix.ts", 'export const suffix: string = "a";\n');
  await save("plugins/tenant.ts", tenant("first"));
  await until(header, (seen) => seen === "first a cross true function");
});

test("a file serves, with relative imports and the program's own hono and zod", async () => {
  expect(await header()).toBe("first a cross true function");
});

test("saving it, or what it imports, makes the new code live", async () => {
  await save("plugins/tenant.ts", tenant("second"));
  await until(header, (seen) => seen === "second a cross true function");
  await save("plugins/suffix.ts", 'export const suffix = "b";\n');
  await until(header, (seen) => seen === "second b cross true function");
});

test("a broken save keeps the old code and is a problem at its own line; a right one applies", async () => {
  await save("plugins/suffix.ts", "export const suffix = ;\n");
  const seen = await until(problems, ({ problems: list }) => list.length > 0);
  expect(seen.problems).toEqual([
    {
      file: "plugins/suffix.ts",
      line: 1,
      column: 23,
      path: "listeners.web.routes[0].filters[0]",
      message: 'cannot use the filter "./plugins/tenant.ts": unexpected ;',
      hints: ["named in clearway.yaml:8"],
      excerpt: { text: "export const suffix = ;", length: 1 },
    },
  ]);
  expect(await header()).toBe("first a cross true function");
  await save("plugins/suffix.ts", 'export const suffix = "c";\n');
  await until(header, (now) => now === "first c cross true function");
  expect(await problems()).toEqual({ problems: [] });
});

test("an import that is not there is found when it appears", async () => {
  await rm(join(folder, "plugins/late.ts"), { force: true });
  await save("plugins/suffix.ts", 'export { suffix } from "./late.ts";\n');
  const seen = await until(problems, ({ problems: list }) => list.length > 0);
  expect(seen.problems).toMatchObject([
    {
      file: "plugins/suffix.ts",
      line: 1,
      column: 24,
      message: expect.stringContaining('cannot find "./late.ts"'),
    },
  ]);
  await save("plugins/late.ts", 'export const suffix = "late";\n');
  await until(header, (now) => now === "first late cross true function");
});
