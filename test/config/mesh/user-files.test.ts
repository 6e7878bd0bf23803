/** Filters of one's own in a mesh document: bundled into it, so that it holds on nodes that have no such file. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { loadConfig } from "../../../src/config/load.ts";
import { systemFiles } from "../../../src/host/files/node.ts";
import { findFilters } from "../../found-filters.ts";
import { startClearway } from "../../program.ts";
import { host } from "../fixture.ts";
import { serviceIn } from "./loading.ts";

let folder: string;

const own = `import { defineFilter, service, z } from "clearway/plugin";
import { header } from "./header.ts";
export default defineFilter({
  name: "own",
  summary: "Asks another service",
  options: z.strictObject({ ask: service(), value: z.string() }),
  middleware: ({ value }) => {
    if (value === "broken") throw new Error("a value that breaks it");
    return async (c, next) => { await next(); c.header(header, value); };
  },
});
`;
const document = (value: string) => `trustDomain: store.example
services:
  storefront:
    inbound: [./plugins/own.ts: { ask: accounts, value: a }]
    outbound: [./plugins/own.ts: { ask: payments, value: ${value} }]
  payments: {}
  accounts: {}
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-mesh-document-"));
  const files = {
    "plugins/own.ts": own,
    "plugins/header.ts": 'export const header = "x-own";\n',
    "mesh.yaml": document("b"),
    "broken.yaml": document("broken"),
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
});
afterAll(() => rm(folder, { recursive: true }));

test("a document has the code of its filters, with all that it imports, and subscribes to what they ask", async () => {
  const { document: read, problems } = await loadConfig({
    ...host,
    findFilters,
    file: join(folder, "mesh.yaml"),
    files: systemFiles,
    environment: {},
    version: 1,
    wanted: "mesh",
  });
  expect(problems).toEqual([]);
  const [code] = read!.config.plugins;
  expect(code).toMatchObject({ name: "./plugins/own.ts", source: { kind: "bundle" } });
  expect((code!.source as { text: string }).text).toContain("x-own");
  const { callee, caller } = serviceIn(read!, "storefront");
  expect(callee).toMatchObject({ others: ["accounts"] });
  expect(callee!.inbound[1]).toMatchObject({
    name: "./plugins/own.ts",
    place: { file: "mesh.yaml", line: 4 },
  });
  expect(caller.others).toEqual(["payments"]);
});

test("check tries them in a process of their own, and names the line of one that cannot be created", async () => {
  const checked = async (file: string) => {
    const check = startClearway(["check", "-c", file], { folder });
    return { code: await check.ended, output: check.output() };
  };
  const [right, broken] = await Promise.all([checked("mesh.yaml"), checked("broken.yaml")]);
  expect(right).toEqual({ code: 0, output: "mesh.yaml is right: a mesh document with 3 services\n" });
  expect(broken.code).toBe(1);
  expect(broken.output).toContain("a value that breaks it");
  expect(broken.output).toContain("broken.yaml:5");
});
