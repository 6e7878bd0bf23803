import { describe, expect, test } from "bun:test";
import { routeBudget } from "../../../src/filters/sending/try-budget.ts";
import { NodeMemory } from "../../../src/runtime/node-memory/index.ts";
import { privateMemory } from "../../../src/runtime/node-memory/private-memory.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { testTools } from "../tools.ts";

const limits = { share: 0.2, perSecond: 10 };

function taken(budget: { take(): boolean }, asked: number): number {
  let count = 0;
  for (let index = 0; index < asked; index++) if (budget.take()) count++;
  return count;
}

describe("a budget of tries", () => {
  test("begins with a second's tries, and lets ten a second pass without any request", () => {
    const clock = new VirtualClock();
    const budget = routeBudget(testTools({ clock }), "orders", limits);
    expect(taken(budget, 100)).toBe(10);
    clock.advance(99);
    expect(taken(budget, 10)).toBe(0);
    clock.advance(1);
    expect(taken(budget, 10)).toBe(1);
    clock.advance(1000);
    expect(taken(budget, 100)).toBe(10);
  });

  test("lets a fifth of the requests pass besides", () => {
    const budget = routeBudget(testTools(), "orders", limits);
    for (let request = 0; request < 1000; request++) budget.addRequest();
    expect(taken(budget, 1000)).toBe(10 + 200);
  });

  test("saves up 500, and not one more", () => {
    const clock = new VirtualClock();
    const budget = routeBudget(testTools({ clock }), "orders", limits);
    for (let request = 0; request < 10_000; request++) budget.addRequest();
    clock.advance(3_600_000);
    expect(taken(budget, 1000)).toBe(500);
  });

  test("is one for all workers and generations of a route, and another for another route", () => {
    const memory = new NodeMemory(privateMemory(), new SeededRandom(1));
    const budgetOf = (worker: number, route: string, scope = `web/${route}`) => {
      const share = memory.share(worker);
      return routeBudget(testTools({ scope, shared: (key) => share.counter(key) }), route, limits);
    };
    const [left, right] = [budgetOf(0, "orders"), budgetOf(1, "orders")];
    for (let request = 0; request < 100; request++) left.addRequest();
    for (const other of [
      budgetOf(0, "users"),
      budgetOf(0, "orders", "other/orders"),
      budgetOf(0, "orders", ""),
    ])
      expect(taken(other, 100)).toBe(10);
    expect(taken(right, 5)).toBe(5);
    expect(taken(budgetOf(1, "orders"), 100)).toBe(5 + 20);
  });

  test("goes on when the system's clock is set back", () => {
    let epochMs = 1_700_000_000_000;
    const clock = Object.assign(new VirtualClock(), { epochMs: () => epochMs });
    const budget = routeBudget(testTools({ clock }), "orders", limits);
    epochMs -= 3_600_000;
    expect(taken(budget, 10)).toBe(0);
    epochMs += 1000;
    expect(taken(budget, 100)).toBe(10);
  });

  test("is a worker's own where the node has no room for its counter, and that is said", () => {
    const tools = testTools({
      shared: () => {
        throw new Error("too many keys");
      },
    });
    const budget = routeBudget(tools, "orders", limits);
    for (let request = 0; request < 100; request++) budget.addRequest();
    expect(taken(budget, 100)).toBe(10 + 20);
    expect(tools.logged).toMatchObject([{ level: "warn", fields: { reason: "too many keys" } }]);
  });
});
