import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileAppenders } from "../../src/host/appenders/node.ts";
import { VirtualClock } from "../virtual-clock.ts";

function folder(): string {
  return mkdtempSync(join(tmpdir(), "clearway-appenders-"));
}

test("appender writes lines together, in order", async () => {
  const path = join(folder(), "access.log");
  const files = fileAppenders(new VirtualClock());
  const appender = files.open(path);
  for (let index = 0; index < 5000; index += 1) appender.line(`line ${index}`);
  await files.flush();
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines.length).toBe(5001);
  expect(lines[4999]).toBe("line 4999");
});

test("appender writes by itself after 100 ms", async () => {
  const path = join(folder(), "access.log");
  const clock = new VirtualClock();
  const files = fileAppenders(clock);
  files.open(path).line("one");
  clock.advance(99);
  expect(() => readFileSync(path)).toThrow("ENOENT");
  clock.advance(1);
  await files.flush();
  expect(readFileSync(path, "utf8")).toBe("one\n");
});

test("appender is the same for the same path", () => {
  const files = fileAppenders(new VirtualClock());
  expect(files.open("/a")).toBe(files.open("/a"));
});

test("appender opens its path anew after the file was moved away", async () => {
  const path = join(folder(), "access.log");
  const clock = new VirtualClock();
  const files = fileAppenders(clock);
  files.open(path).line("before");
  await files.flush();
  renameSync(path, `${path}.1`);
  clock.advance(1000);
  files.open(path).line("after");
  await files.flush();
  expect(readFileSync(`${path}.1`, "utf8")).toBe("before\n");
  expect(readFileSync(path, "utf8")).toBe("after\n");
});

test("appender drops and counts what its bound does not hold", async () => {
  const path = join(folder(), "access.log");
  const files = fileAppenders(new VirtualClock());
  const appender = files.open(path);
  const line = "x".repeat(1023);
  for (let index = 0; index < 3000; index += 1) appender.line(line);
  expect(appender.dropped).toBeGreaterThan(1000);
  await files.flush();
  const written = readFileSync(path, "utf8").split("\n").length - 1;
  expect(written + appender.dropped).toBe(3000);
});

test("appender counts the lines of a file that cannot be opened, and recovers", async () => {
  const parent = folder();
  const clock = new VirtualClock();
  const files = fileAppenders(clock);
  const appender = files.open(join(parent, "missing", "access.log"));
  appender.line("lost");
  await files.flush();
  expect(appender.dropped).toBe(1);
  mkdirSync(join(parent, "missing"));
  appender.line("kept");
  await files.flush();
  expect(readFileSync(join(parent, "missing", "access.log"), "utf8")).toBe("kept\n");
});
