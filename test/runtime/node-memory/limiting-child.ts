/**
 * Started by a test: takes from limits in the memory that it inherits, as fast as it can. Arguments: its number, how
 * many keys, how often for each key ("forever" until it is killed).
 */
import { inheritSharedMemory } from "../../../src/host/shared-memory/bun.ts";
import { leaseLimit } from "../../../src/runtime/limits.ts";
import { NodeMemory, nodeMemoryBytes } from "../../../src/runtime/node-memory/index.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { limitedKey, manyRules, oneRules, wallClock } from "./limited.ts";

const [number = "", keys = "", times = ""] = process.argv.slice(2);
const memory = new NodeMemory(inheritSharedMemory(nodeMemoryBytes), new SeededRandom(Number(number)));
const share = memory.share(Number(number));
const parts = { share, clock: wallClock, dropped: () => {} };
const rules = keys === "1" ? oneRules : manyRules;
const { limit } = leaseLimit(parts, { table: "hammered", scope: "web" }, rules);
const allowed = share.counter("allowed");
process.send!("limiting");
for (let time = 0; times === "forever" || time < Number(times); time++) {
  for (let key = 0; key < Number(keys); key++) if (limit.take(limitedKey(key)).allowed) allowed.add(1);
}
process.exit();
