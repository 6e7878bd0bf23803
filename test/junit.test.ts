import { describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readReport } from "./junit.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="5" failures="1" skipped="2">
  <testsuite name="a.test.ts" file="a.test.ts" tests="5">
    <testcase name="adds 1 &gt; 0" classname="" time="0.1" file="a.test.ts" line="1" assertions="1" />
    <testcase name="adds 2" classname="sum" time="0.1" file="a.test.ts" line="2" assertions="1" />
    <testcase name="breaks" classname="sum" time="0" file="a.test.ts" line="3" assertions="1">
      <failure type="AssertionError" message="expected &lt;testcase&gt;">expected 1
        at a.test.ts:3
      </failure>
    </testcase>
    <testcase name="skipped: needs &quot;etcd&quot;" classname="store &amp; co" time="0" file="a.test.ts" line="4">
      <skipped />
    </testcase>
    <testcase name="later" classname="sum" time="0" file="a.test.ts" line="5"><skipped message="later" /></testcase>
  </testsuite>
</testsuites>`;

describe("readReport", () => {
  test("counts passes, failures and skips", () => {
    expect(readReport(report)).toEqual({
      passed: 2,
      failed: 1,
      skipped: ['store & co > skipped: needs "etcd"', "sum > later"],
    });
  });

  test("counts what Node and Deno write", () => {
    const node = `<testcase name="a" time="0.1" classname="test"/>
      <testcase name="b" time="0.1" classname="test" failure="no"><failure type="x">no</failure></testcase>
      <testcase name="c" time="0.1" classname="test"><skipped type="skipped" message="true"/></testcase>`;
    expect(readReport(node)).toEqual({ passed: 1, failed: 1, skipped: ["c"] });
    const deno = `<testcase name="a" classname="./a.mjs" time="0.1" line="1" col="2"></testcase>`;
    expect(readReport(deno)).toMatchObject({ passed: 1, failed: 0 });
  });

  test("finds nothing in an empty report", () => {
    expect(readReport("")).toEqual({ passed: 0, failed: 0, skipped: [] });
  });

  test("agrees with the runner that writes the report", async () => {
    const folder = await mkdtemp(join(tmpdir(), "clearway-junit-"));
    try {
      const file = join(folder, "sample.test.ts");
      const tests =
        'test("a", () => {}); test("b", () => { throw new Error("<no>"); }); test.skip("c", () => {});';
      await writeFile(file, `import { test } from "bun:test";\n${tests}\n`);
      const xml = join(folder, "report.xml");
      const command = [process.execPath, "test", "--reporter=junit", `--reporter-outfile=${xml}`, file];
      await Bun.spawn(command, { cwd: folder, stdio: ["ignore", "ignore", "ignore"] }).exited;
      expect(readReport(await readFile(xml, "utf8"))).toEqual({ passed: 1, failed: 1, skipped: ["c"] });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
