import { expect, test } from "bun:test";
import { join } from "node:path";
import { createSharedMemory } from "../../../src/host/shared-memory/bun.ts";
import type { SharedMemory } from "../../../src/machine.ts";
import { leaseLimit } from "../../../src/runtime/limits.ts";
import { NodeMemory, type NodeShare, nodeMemoryBytes } from "../../../src/runtime/node-memory/index.ts";
import type { LimitRules } from "../../../src/types.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { limitedKey, manyRules, oneRules, wallClock } from "./limited.ts";

/** A process that takes from limits; see limiting-child.ts. */
function child(
  number: number,
  work: readonly [keys: number, times: number | "forever"],
  shared: SharedMemory,
) {
  const said = Promise.withResolvers<void>();
  const program = [process.execPath, join(import.meta.dir, "limiting-child.ts"), String(number)];
  const started = Bun.spawn([...program, ...work.map(String)], {
    stdio: ["ignore", "inherit", "inherit", shared.descriptor],
    ipc: () => said.resolve(),
  });
  return { said: said.promise, ended: started.exited, kill: () => started.kill("SIGKILL") };
}

function limitOf(share: NodeShare, rules: LimitRules) {
  const parts = { share, clock: wallClock, dropped: () => {} };
  return leaseLimit(parts, { table: "hammered", scope: "web" }, rules);
}

interface Hammering {
  readonly keys: number;
  readonly rules: LimitRules;
  readonly timesOfEach: number;
  readonly kills: number;
}

/** Three processes that take, while a fourth is killed and replaced; returns what was allowed, and the memory. */
async function hammer({ keys, timesOfEach, kills }: Hammering) {
  const shared = (await createSharedMemory(nodeMemoryBytes))!;
  const memory = new NodeMemory(shared, new SeededRandom(9));
  const steady = [0, 1, 2].map((number) => child(number, [keys, timesOfEach], shared));
  for (let kill = 0; kill < kills; kill++) {
    const killed = child(3, [keys, "forever"], shared);
    await killed.said;
    await Bun.sleep(20);
    killed.kill();
    await killed.ended;
    memory.forget(3);
  }
  await Promise.all(steady.map(({ ended }) => ended));
  const share = memory.share(4);
  return { share, memory, allowed: share.counter("allowed").value };
}

test("a limit lets exactly its burst pass for one key, while processes that take from it are killed", async () => {
  const kills = 10;
  const { share, allowed } = await hammer({ keys: 1, rules: oneRules, timesOfEach: 200_000, kills });
  // A process may have been killed after it took and before it counted.
  expect(allowed).toBeLessThanOrEqual(oneRules.burst);
  expect(allowed).toBeGreaterThanOrEqual(oneRules.burst - kills);
  expect(limitOf(share, oneRules).limit.take(limitedKey(0)).allowed).toBe(false);
  expect(limitOf(share, oneRules).limit.take(limitedKey(1))).toMatchObject({ remaining: oneRules.burst - 1 });
}, 60_000);

test("a limit lets exactly its burst pass for each of many keys, while processes that take from it are killed", async () => {
  const [keys, kills] = [5_000, 10];
  const { share, allowed } = await hammer({ keys, rules: manyRules, timesOfEach: 60, kills });
  expect(allowed).toBeLessThanOrEqual(keys * manyRules.burst);
  expect(allowed).toBeGreaterThanOrEqual(keys * manyRules.burst - kills);
  const { limit } = limitOf(share, manyRules);
  const further = Array.from({ length: keys }, (_, key) => limit.take(limitedKey(key)).allowed);
  expect(further.filter((one) => one)).toEqual([]);
}, 60_000);

test("what a killed process used is given back", async () => {
  const { memory } = await hammer({ keys: 1, rules: oneRules, timesOfEach: 10, kills: 3 });
  for (const number of [0, 1, 2]) memory.forget(number);
  // Were a table still used, there would be one less for these.
  const others = memory.share(5);
  const leases = Array.from({ length: 128 }, (_, number) => others.limits(`other ${number}`, 1_000));
  expect(leases.every((lease) => lease !== null)).toBe(true);
  expect(others.limits("one more", 1_000)).toBeNull();
}, 60_000);
