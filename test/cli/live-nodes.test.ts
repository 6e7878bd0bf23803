import { expect, test } from "bun:test";
import type { ListedNode } from "../../src/cli/listings.ts";
import { liveLines } from "../../src/cli/live-nodes.ts";
import type { OperatorCalls } from "../../src/cli/operator.ts";

const node = (name: string, version: number | null, more: Partial<ListedNode> = {}): ListedNode => ({
  ...{ service: "payments", node: name, instances: 1, leaseLeftMs: 9000, version, uses: [] },
  ...more,
});

/** Each answer in turn, the last one again and again. */
async function linesFor(answers: readonly (readonly ListedNode[])[]) {
  let nowMs = 0;
  const clock = {
    now: () => nowMs,
    after(ms: number, call: () => void) {
      nowMs += ms;
      queueMicrotask(call);
      return () => {};
    },
  };
  let asked = 0;
  const get = async () => {
    const nodes = answers[Math.min(asked, answers.length - 1)];
    asked += 1;
    return { nodes };
  };
  const lines = await liveLines({ get } as unknown as OperatorCalls, { version: 8 }, { clock });
  return { lines, asked };
}

test("apply waits until all connected nodes have the version, and says so", async () => {
  const away = node("away", 7, { uses: null });
  const late = [node("a", 8), node("b", 7), away];
  expect(await linesFor([late, late, [node("a", 8), node("b", 9), away]])).toEqual({
    lines: ["live on all 2 connected nodes"],
    asked: 3,
  });
});

test("apply names the nodes that do not have it in time", async () => {
  const { lines, asked } = await linesFor([[node("a", 8), node("b", 7), node("c", null)]]);
  expect(lines).toEqual([
    "live on 1 of 3 connected nodes; without version 8: payments/b (has 7), payments/c (said nothing yet)",
  ]);
  expect(asked).toBeGreaterThan(20);
});

test("apply says when it does not know on which nodes it is live: it was applied all the same", async () => {
  const get = () => Promise.reject(new Error("the coordinator is away"));
  const clock = { now: () => 0, after: () => () => {} };
  const calls = { get } as unknown as OperatorCalls;
  expect(await liveLines(calls, { version: 8 }, { clock })).toEqual([
    "on how many nodes it is live is not known: the coordinator is away",
  ]);
});

test("apply does not wait for nodes that never said what they have", async () => {
  const silent = node("old", null);
  expect((await linesFor([[node("a", 8), silent]])).asked).toBe(1);
  expect((await linesFor([[]])).lines).toEqual([]);
});
