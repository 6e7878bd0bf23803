import { expect, test } from "bun:test";
import { systemRandom } from "../../src/host/random/node.ts";

test("random.id gives 32 hexadecimal digits, never twice the same, over several draws", () => {
  const random = systemRandom();
  const ids = new Set<string>();
  for (let index = 0; index < 1000; index += 1) {
    const id = random.id();
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    ids.add(id);
  }
  expect(ids.size).toBe(1000);
});
