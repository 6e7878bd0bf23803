/** Started by a test: counts in the memory that it inherits, then waits to be told apart from one that was killed. */
import { inheritSharedMemory } from "../../../src/host/shared-memory/bun.ts";
import { NodeMemory, nodeMemoryBytes } from "../../../src/runtime/node-memory/index.ts";
import { SeededRandom } from "../../seeded-random.ts";

const [number = "", additions = ""] = process.argv.slice(2);
const memory = new NodeMemory(inheritSharedMemory(nodeMemoryBytes), new SeededRandom(Number(number)));
const share = memory.share(Number(number));
const counter = share.counter("filter calls");
if (additions === "forever") {
  const own = share.counter("filter killed");
  for (let open = 0; open < 37; open++) share.connections.enter(1000);
  process.send!("counting");
  for (;;) {
    own.add(1);
    counter.add(1);
    counter.add(-1);
  }
}
for (let left = Number(additions); left > 0; left--) counter.add(1);
process.send!("counted");
process.exit();
