/** Users' own filter files through the real program: served, replaced when they are saved, refused when they are wrong. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { startLoad } from "../bench/load.ts";
import { filterText } from "./check-with-filters.ts";
import { freePorts } from "./free-ports.ts";
import { answers, program, type Running, root, start, until } from "./program.ts";

let folder: string;
let running: Running;
let built: string;
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
    if (c.req.method === "POST") await c.req.text();
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
  built = join(await mkdtemp(join(tmpdir(), "clearway-built-")), "clearway");
  const build = start([process.execPath, join(root, "build/binary.ts"), built]);
  expect([await build.ended, build.output()]).toEqual([0, expect.stringContaining("MiB")]);
}, 120_000);
afterAll(() => rm(dirname(built), { recursive: true }));

describe.each([
  { from: "from source", command: () => [...program] },
  // In a folder that has nothing else: no node_modules anywhere above it.
  { from: "built", command: () => [built] },
])("clearway $from", ({ command }) => {
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
    running = start([...command(), "run", "-c", "clearway.yaml"], { folder });
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

  test("a request in flight finishes on the old code", async () => {
    let finish = () => {};
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("begin"));
        finish = () => controller.close();
      },
    });
    const slow = fetch(`http://127.0.0.1:${web}/`, { method: "POST", body });
    await save("plugins/tenant.ts", tenant("second"));
    await until(header, (seen) => seen === "second a cross true function");
    finish();
    expect((await slow).headers.get("x-tenant")).toBe("first a cross true function");
  });

  test("nobody feels what hoards memory, loops or exits before it serves", async () => {
    const wanted = { status: 200, body: Buffer.from("ok") };
    const traffic = startLoad({ port: web, path: "/", connections: 8, requestsPerSecond: null, wanted });
    const harm = {
      "took more than 256 MiB": "const kept = []; for (;;) kept.push(new Uint8Array(100_000).fill(7));",
      "took longer than 5 s": "for (;;) {}",
      "ended the process with code 1": "process.exit(1);",
    };
    for (const [said, does] of Object.entries(harm)) {
      const options = "z.strictObject({ header: z.string() })";
      await save("plugins/tenant.ts", filterText({ options, middleware: `() => { ${does} }` }));
      await until(problems, ({ problems: list }) => JSON.stringify(list).includes(said));
    }
    const result = await traffic.stop();
    expect({ failed: result.failed, closed: result.closedByPeer }).toEqual({ failed: 0, closed: 0 });
    expect(result.succeeded).toBeGreaterThan(100);
    expect(await header()).toBe("first a cross true function");
  });

  test("schema beside the config has the options of the file", async () => {
    const running = start([...command(), "schema"], { folder });
    expect(await running.ended).toBe(0);
    const { definitions } = JSON.parse(running.output());
    expect(definitions["..plugins.tenant.ts"]).toMatchObject({
      description: "Names the tenant",
      properties: { header: { type: "string" } },
    });
    const patterns = JSON.stringify(definitions.routeFilter.oneOf);
    expect(patterns).toContain('"required":["./plugins/tenant.ts"]');
  });
});
