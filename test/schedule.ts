/** Which test files run at the same time. */

/** Files at a time: the machines that run them have two processors. */
export const laneCount = 2;

/** Files that run while no other does, and why. */
export const alone: Readonly<Record<string, string>> = {
  "test/runtime/http1/streaming.test.ts": "asserts the memory of its process, which grows when it is held up",
};

/** Runs every item in the lane, from 0, that is free first. */
export async function inLanes<Item>(
  items: readonly Item[],
  count: number,
  run: (item: Item, lane: number) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const lanes = Array.from({ length: count }, async (_, lane) => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await run(item, lane);
  });
  await Promise.all(lanes);
}
