import { describe, expect, test } from "bun:test";
import { anyRequest, createWorld, expectShares, send } from "./world.ts";

const leastRequest = { policy: "least-request" } as const;

describe("least-request", () => {
  test("picks the endpoint with fewer requests in flight", () => {
    const { balancer, endpoints } = createWorld(leastRequest, [{}, {}]);
    endpoints[0]!.load.begin();
    for (let pick = 0; pick < 50; pick += 1) expect(balancer.pick([], anyRequest)).toBe(endpoints[1]!);
  });

  test("counts requests in flight in proportion to the weight", () => {
    const { balancer, endpoints } = createWorld(leastRequest, [{ weight: 4 }, { weight: 1 }]);
    for (let request = 0; request < 3; request += 1) endpoints[0]!.load.begin();
    endpoints[1]!.load.begin();
    for (let pick = 0; pick < 50; pick += 1) expect(balancer.pick([], anyRequest)).toBe(endpoints[0]!);
  });

  test("gives a slow endpoint as much as it can do at a time", () => {
    const world = createWorld(leastRequest, [{}, {}, { answerMs: 100 }]);
    send(world, { perSecond: 2_000, seconds: 2 });
    const [, , slow] = send(world, { perSecond: 2_000, seconds: 10 });
    // Equal queues: 1/100 of all that 1/5 + 1/5 + 1/100 do, and a little more as only two of three are compared.
    expect(slow).toBeWithin(0.01, 0.08);
  });

  test("keeps to weights with little to do and with much", () => {
    for (const perSecond of [100, 4_000]) {
      const world = createWorld(leastRequest, [{ weight: 1 }, { weight: 2 }, { weight: 5 }]);
      expectShares(send(world, { perSecond, seconds: 10 }), [1 / 8, 2 / 8, 5 / 8], 0.05);
    }
  });

  test("finds another endpoint also where one has nearly all the weight", () => {
    const { balancer, endpoints } = createWorld(leastRequest, [{ weight: 1_000 }, { weight: 1 }]);
    for (let request = 0; request < 2_000; request += 1) endpoints[0]!.load.begin();
    expect(balancer.pick([], anyRequest)).toBe(endpoints[1]!);
  });
});
