import { expect, test } from "bun:test";
import { UsageWatch } from "../../../src/node/guard/usage-watch.ts";

function bench() {
  const usages = new Map<number, { residentBytes: number; cpuSeconds: number; startEpochMs: number }>();
  const watch = new UsageWatch(async (pid) => usages.get(pid) ?? null);
  let nowMs = 0;
  /** A second later: what each process has by then. */
  const second = async (
    seen: Readonly<Record<number, readonly [residentBytes: number, cpuSeconds: number]>>,
  ) => {
    nowMs += 1000;
    usages.clear();
    for (const [pid, [residentBytes, cpuSeconds]] of Object.entries(seen))
      usages.set(Number(pid), { residentBytes, cpuSeconds, startEpochMs: 0 });
    await watch.look([...usages.keys(), 99], 100, nowMs);
  };
  return { watch, second };
}

test("UsageWatch compares memory with what it was at the last change, or with what a fresh process has", async () => {
  const { watch, second } = bench();
  await second({ 1: [10, 0] });
  await second({ 1: [50, 0], 2: [70, 0] });
  expect([watch.memoryOf(1)?.baseBytes, watch.memoryOf(2)?.baseBytes]).toEqual([10, 10]);
  watch.changed();
  await second({ 1: [90, 0], 2: [90, 0] });
  expect([watch.memoryOf(1)?.baseBytes, watch.memoryOf(2)?.baseBytes]).toEqual([50, 70]);
});

test("UsageWatch counts the looks in a row above the limit", async () => {
  const { watch, second } = bench();
  const above: (number | undefined)[] = [];
  for (const residentBytes of [100, 101, 102, 100, 101]) {
    await second({ 1: [residentBytes, 0] });
    above.push(watch.memoryOf(1)?.above);
  }
  expect(above).toEqual([0, 1, 2, 0, 1]);
});

test("UsageWatch tells how busy a process was since a time, and does not guess", async () => {
  const { watch, second } = bench();
  for (const cpuSeconds of [0, 1, 1.5, 2]) await second({ 1: [1, cpuSeconds] });
  expect(watch.busyShare(1, 2000)).toBe(0.5);
  expect(watch.busyShare(1, 4000)).toBeNull();
  expect(watch.busyShare(99, 0)).toBeNull();
  expect(watch.memoryOf(99)).toBeNull();
});

test("UsageWatch forgets a process that is gone", async () => {
  const { watch, second } = bench();
  await second({ 1: [1, 0] });
  await second({ 2: [1, 0] });
  expect([watch.memoryOf(1), watch.memoryOf(2)?.residentBytes]).toEqual([null, 1]);
});
