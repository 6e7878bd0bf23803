import { expect, test } from "bun:test";
import { type Compiled, ending } from "../../src/runtime/compile.ts";
import type { Generation } from "../../src/runtime/generation.ts";

test("ending closes filters and services one at a time, and leaves those that serve on", () => {
  const ended: string[] = [];
  const filter = (name: string) => ({ close: () => void ended.push(name) });
  const service = (name: string) => ({ retire: () => void ended.push(name) });
  const kept = service("kept");
  const generation = (services: Record<string, object>) =>
    ({ services: new Map(Object.entries(services)), listeners: new Map() }) as unknown as Generation;
  const old = {
    filters: [filter("first"), filter("second")],
    generation: generation({ kept, changed: service("changed"), gone: service("gone") }),
  } as unknown as Compiled;
  const steps = ending(old, generation({ kept, changed: service("the new one") }));
  const seen: number[] = [];
  for (let step = steps.next(); step.done !== true; step = steps.next()) seen.push(ended.length);
  expect(ended).toEqual(["first", "second", "changed", "gone"]);
  expect(seen).toEqual([1, 2, 2, 3, 4]);
});
