/** The names of users' files: each is relative to the config file that has it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { systemFiles } from "../../src/host/files/node.ts";
import { filterText } from "../check-with-filters.ts";
import { findFilters } from "../found-filters.ts";
import { host } from "./fixture.ts";

let folder: string;

const listener = (name: string, port: number, filters: string) =>
  `  ${name}:\n    bind: 127.0.0.1:${port}\n    filters: [${filters}]\n    routes: [{ match: { path: /* }, respond: { status: 200, body: ok } }]\n`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-user-files-"));
  const files = {
    "plugins/tenant.ts": filterText({}),
    "conf/own.ts": filterText({}),
    "conf/clearway.yaml": `include: [conf.d/*.yaml]\nlisteners:\n${listener("main", 1, "../plugins/tenant.ts, ./own.ts")}`,
    "conf/conf.d/more.yaml": `listeners:\n${listener("more", 2, "../../plugins/tenant.ts, ../own.ts: {}")}`,
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
});
afterAll(() => rm(folder, { recursive: true }));

test("one file that two config files name is one plugin", async () => {
  const file = join(folder, "conf/clearway.yaml");
  const { snapshot, problems, files } = await loadConfig({
    ...host,
    findFilters,
    file,
    files: systemFiles,
    environment: {},
    version: 1,
  });
  expect(problems).toEqual([]);
  expect(snapshot?.plugins.map(({ name }) => name)).toEqual(["../plugins/tenant.ts", "./own.ts"]);
  expect(snapshot?.listeners.map(({ filters }) => filters.map(({ name }) => name))).toEqual([
    ["../plugins/tenant.ts", "./own.ts"],
    ["../plugins/tenant.ts", "./own.ts"],
  ]);
  expect(files).toContain(join(folder, "plugins/tenant.ts"));
});
