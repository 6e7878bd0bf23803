import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Facts } from "../../bench/machine.ts";
import { newestRows, RowFile, readRows, resultsName } from "../../bench/results.ts";
import { writeSummary } from "../../bench/summary.ts";
import type { Workload } from "../../bench/workload.ts";

const facts: Facts = {
  kind: "facts",
  startedAt: "2026-11-23T10:20:30Z",
  machine: { cpu: "A processor", cores: 2, memory: "24 GiB", kernel: "Linux 6", loadAverage: 0.25 },
  versions: { Clearway: "0.1.0", Bun: "1.4.5", nginx: "1.22.1" },
  clearway: "dist/clearway",
  commit: "0123456789",
  state: "clean",
  command: "npm run bench -- sum",
};
const sum: Workload<{ value: number }> = {
  name: "sum",
  title: "a sum",
  async *run() {},
  report(rows) {
    const total = String(rows.reduce((before, row) => before + row.value, 0));
    const table = { title: "Sum", columns: ["what", "value"], rows: [["sum", total]], notes: ["a note"] };
    return { tables: [table], problems: ["one problem"] };
  },
};
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "clearway-results-"));
  folders.push(folder);
  return folder;
}

test("resultsName has date and commit, and says quick, dirty and of another program", () => {
  expect(resultsName(facts, "full")).toBe("2026-11-23-0123456789");
  expect(resultsName({ ...facts, state: "changed" }, "quick")).toBe("2026-11-23-0123456789-quick-dirty");
  const other = { ...facts, command: `${facts.command} --clearway PROGRAM` };
  expect(resultsName(other, "full")).toBe("2026-11-23-0123456789-other");
});

test("summary is made from the kept rows, with machine, versions, commit and command", () => {
  const folder = newFolder();
  const file = new RowFile(folder, "sum", facts);
  file.add({ value: 1 });
  file.add({ value: 2 });
  writeSummary(folder, [sum as Workload<object>]);
  const summary = readFileSync(join(folder, "summary.md"), "utf8");
  for (const part of ["A processor, 2 cores", "nginx 1.22.1", "commit 0123456789", "npm run bench -- sum"]) {
    expect(summary).toContain(part);
  }
  expect(summary).toContain("| sum | 3 |");
  expect(summary).toContain("**Problem:** one problem");
});

test("readRows refuses rows without one of the facts", () => {
  const path = join(newFolder(), "sum.jsonl");
  for (const name of ["machine", "versions", "commit", "command"]) {
    writeFileSync(path, `${JSON.stringify({ ...facts, [name]: undefined })}\n{"value":1}\n`);
    expect(() => readRows(path)).toThrow(`does not say ${name}`);
  }
  writeFileSync(path, '{"value":1}\n');
  expect(() => readRows(path)).toThrow("no summary without it");
});

test("newestRows takes the newest whole run of each workload, and none that is quick, of a changed checkout or of another program", () => {
  const folder = newFolder();
  const keep = (name: string, change: Partial<Facts>, value: number) => {
    new RowFile(join(folder, name), "sum", { ...facts, ...change }).add({ value });
  };
  keep("2026-11-23-0123456789", {}, 1);
  keep("2026-11-24-aaaaaaaaaa", { startedAt: "2026-11-24T01:00:00Z" }, 2);
  keep(
    "2026-11-25-bbbbbbbbbb",
    { startedAt: "2026-11-25T01:00:00Z", command: `${facts.command} --only a` },
    3,
  );
  keep("2026-11-26-cccccccccc-dirty", { startedAt: "2026-11-26T01:00:00Z" }, 4);
  keep("2026-11-27-cccccccccc-quick", { startedAt: "2026-11-27T01:00:00Z" }, 5);
  keep("2026-11-28-cccccccccc-other", { startedAt: "2026-11-28T01:00:00Z" }, 6);
  expect(newestRows(folder).get("sum")?.rows).toEqual([{ value: 2 }]);
});
