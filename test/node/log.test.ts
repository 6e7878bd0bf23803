import { expect, test } from "bun:test";
import { createLog } from "../../src/node/log.ts";

function logged(format: "json" | "text") {
  const lines: string[] = [];
  const log = createLog((line) => lines.push(line), { process: "worker" });
  log.configure({ level: "info", format });
  return { lines, log };
}

test("log writes one JSON document a line, with its level by name", () => {
  const { lines, log } = logged("json");
  log.warn("slow disk", { lines: 3 });
  log.debug("not said");
  expect(lines).toHaveLength(1);
  const { time, ...rest } = JSON.parse(lines[0]!);
  expect(rest).toEqual({ level: "warn", process: "worker", lines: 3, message: "slow disk" });
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test("log writes a line for a person, in which nothing can break out of its line", () => {
  const { lines, log } = logged("text");
  log.error("broken\n\u001b[31m", { path: "/a b", code: 3, forged: "x\nerror y" });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} error broken\\n\\u001b\[31m {2}process=worker path="\/a b" code=3 forged="x\\nerror y"$/,
  );
});

test("log takes a new level and format with the next line", () => {
  const { lines, log } = logged("text");
  log.configure({ level: "debug", format: "json" });
  log.debug("said");
  expect(JSON.parse(lines[0]!).message).toBe("said");
});
