/** Names of files in the options of filters. */
import { expect, test } from "bun:test";
import { defineFilter, path, z } from "../../src/plugin.ts";
import type { Snapshot } from "../../src/snapshot.ts";
import type { FilterRegistry } from "../../src/types.ts";
import { loadWith, withRoute } from "./fixture.ts";

const audit = defineFilter({
  name: "audit",
  summary: "Writes to a file",
  options: z.strictObject({ to: z.union([z.enum(["stdout"]), path()]).default("stdout") }),
  middleware: () => (_c, next) => next(),
});
const auditOnly: FilterRegistry = new Map([[audit.name, audit]]);

test("loadConfig makes a path in a filter's options relative to the file that names it", async () => {
  const web = withRoute("to: orders\nfilters: [audit: { to: logs/audit.log }]")["clearway.yaml"]!;
  const { snapshot, problems } = await loadWith(auditOnly, {
    "clearway.yaml": "include: [conf.d/web.yaml]",
    "conf.d/web.yaml": web,
  });
  expect(problems).toEqual([]);
  expect(firstFilterOf(snapshot!)).toMatchObject({ options: { to: "conf.d/logs/audit.log" } });
});

test("loadConfig keeps a word that stands for no file as it is", async () => {
  const { snapshot } = await loadWith(auditOnly, withRoute("to: orders\nfilters: [audit: { to: stdout }]"));
  expect(firstFilterOf(snapshot!)).toMatchObject({ options: { to: "stdout" } });
});

function firstFilterOf(snapshot: Snapshot) {
  return snapshot.listeners[0]!.routes[0]!.filters[0];
}
