import { describe, expect, test } from "bun:test";
import { pickInstead, pickUntried } from "../../../src/runtime/balance/further-picks.ts";
import { anyRequest, createWorld, type Endpoint, keyed, policies } from "./world.ts";

const random = { policy: "random" } as const;
const outliers = { consecutiveErrors: 5, ejectionMs: 30_000, ejectionMaxMs: 300_000, ejectedShareMax: 0.5 };

describe("pickUntried", () => {
  test.each(policies)(
    "picks what was not tried, then the one that answered a request last: $policy",
    (loadBalancing) => {
      const { endpoints, selector } = createWorld(loadBalancing, [{}, {}, {}]);
      const selection = selector.select(endpoints);
      endpoints[0]!.standing.succeeded(10);
      endpoints[1]!.standing.succeeded(20);
      for (let round = 0; round < 20; round += 1) {
        const request = keyed(`caller ${round}`);
        const tried: Endpoint[] = [];
        for (const _ of endpoints) tried.push(pickUntried(selection, tried, request)!);
        expect(new Set(tried).size).toBe(3);
        expect(pickUntried(selection, tried, request)).toBe(endpoints[1]!);
      }
    },
  );

  test("leaves it to the policy among those that never answered, and picks null of none", () => {
    const { endpoints, selector } = createWorld(random, [{}, {}]);
    const selection = selector.select(endpoints);
    const picks = Array.from({ length: 50 }, () => pickUntried(selection, endpoints, anyRequest));
    expect(new Set(picks)).toEqual(new Set(endpoints));
    expect(pickUntried(selector.select([]), endpoints, anyRequest)).toBeNull();
  });

  test("picks nobody again who is ejected meanwhile", () => {
    const { endpoints, selector } = createWorld(random, [{}, {}], { config: { panicShare: 0.5 } });
    endpoints[0]!.standing.succeeded(20);
    endpoints[0]!.standing.eject(20, outliers);
    expect(pickUntried(selector.select(endpoints), endpoints, anyRequest)).toBe(endpoints[1]!);
  });
});

describe("pickInstead", () => {
  function fourWithOneEjected(panicShare: number) {
    const { endpoints, selector } = createWorld(random, [{}, {}, {}, {}], { config: { panicShare } });
    const [a, b, c, ejected] = endpoints as [Endpoint, Endpoint, Endpoint, Endpoint];
    ejected.standing.eject(0, outliers);
    return { a, b, c, ejected, endpoints, selection: selector.select(endpoints) };
  }

  test("picks what was not tried, then what an earlier try reached, then what is ejected, then nobody", () => {
    const { a, b, c, ejected, endpoints, selection } = fourWithOneEjected(0.5);
    expect(pickInstead(selection, { tried: [a, b], unreachable: [b] }, anyRequest)).toBe(c);
    for (const [earlier, other] of [
      [a, c],
      [c, a],
    ] as const) {
      const parts = { tried: [a, b, c], unreachable: [b, other] };
      expect(pickInstead(selection, parts, anyRequest)).toBe(earlier);
    }
    const all = { tried: [a, b, c], unreachable: [a, b, c] };
    expect(pickInstead(selection, all, anyRequest)).toBe(ejected);
    expect(pickInstead(selection, { tried: endpoints, unreachable: endpoints }, anyRequest)).toBeNull();
  });

  test("picks nobody who is ejected where panic is forbidden, nor who fails its checks", () => {
    const forbidden = fourWithOneEjected(0);
    const { a, b, c } = forbidden;
    const all = { tried: [a, b, c], unreachable: [a, b, c] };
    expect(pickInstead(forbidden.selection, all, anyRequest)).toBeNull();
    const { endpoints, selector } = createWorld(random, [{}, {}], { config: { panicShare: 0.5 } });
    endpoints[0]!.standing.health = "unhealthy";
    const unreachable = [endpoints[1]!];
    expect(pickInstead(selector.select(endpoints), { tried: [], unreachable }, anyRequest)).toBeNull();
  });
});
