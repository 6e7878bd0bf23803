import { afterEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemFiles } from "../../src/host/files/node.ts";
import { until } from "../program.ts";

let unwatch = () => {};
afterEach(() => unwatch());

/** A watched folder in which a file is, and what its watch told since `happens` began. */
function watched() {
  const folder = mkdtempSync(join(tmpdir(), "clearway-files-"));
  const file = join(folder, "a.log");
  writeFileSync(file, "");
  let told: (string | null)[] = [];
  unwatch = systemFiles.watch(folder, (written) => void told.push(written));
  const happens = async (change: () => void, wanted: string | null) => {
    told = [];
    change();
    await until(
      () => told,
      (all) => all.includes(wanted),
    );
    return told;
  };
  return { folder, file, happens };
}

test("files.watch tells the name of a file that is written to", async () => {
  const { file, happens } = watched();
  expect(await happens(() => appendFileSync(file, "a line\n"), "a.log")).not.toContain(null);
});

test("files.watch tells no name when one comes, goes, or becomes another file", async () => {
  const { folder, file, happens } = watched();
  const other = join(folder, "b.log");
  await happens(() => writeFileSync(other, ""), null);
  await happens(() => renameSync(other, file), null);
  await happens(() => symlinkSync("a.log", other), null);
  await happens(() => unlinkSync(other), null);
});
