/** What holds for every policy. */
import { describe, expect, test } from "bun:test";
import {
  anyRequest,
  createWorld,
  type Endpoint,
  expectShares,
  keyed,
  pickShares,
  policies,
} from "./world.ts";

for (const loadBalancing of policies) {
  describe(loadBalancing.policy, () => {
    test("picks what was not tried, then any again, and null of none", () => {
      const { balancer, endpoints } = createWorld(loadBalancing, [
        { weight: 9 },
        { weight: 1 },
        { weight: 3 },
      ]);
      for (let round = 0; round < 50; round += 1) {
        const tried: Endpoint[] = [];
        const request = round % 2 === 0 ? anyRequest : keyed(`caller ${round}`);
        for (const _ of endpoints) tried.push(balancer.pick(tried, request)!);
        expect(new Set(tried).size).toBe(3);
        expect(endpoints).toContain(balancer.pick(tried, request)!);
      }
      expect(createWorld(loadBalancing, []).balancer.pick([], keyed("caller"))).toBeNull();
      expect(createWorld(loadBalancing, []).balancer.pick([], anyRequest)).toBeNull();
      const alone = createWorld(loadBalancing, [{}]);
      expect(alone.balancer.pick(alone.endpoints, keyed("caller"))).toBe(alone.endpoints[0]!);
    });

    test("gives nothing to an endpoint of weight 0", () => {
      const world = createWorld(loadBalancing, [{ weight: 0 }, { weight: 1 }]);
      expect(pickShares(world, 200)).toEqual([0, 1]);
    });

    test("keeps to weights when there is nothing else to go by", () => {
      const world = createWorld(loadBalancing, [{ weight: 1 }, { weight: 2 }, { weight: 5 }]);
      // A share on the ring that 51 points make is 14 % off at one standard deviation.
      const tolerance = loadBalancing.policy === "ring-hash" ? 0.08 : 0.02;
      expectShares(pickShares(world), [1 / 8, 2 / 8, 5 / 8], tolerance);
    });

    test("follows a weight that changed", () => {
      const world = createWorld(loadBalancing, [{}, {}]);
      world.endpoints[1]!.load.weight = 3;
      const { balancer } = world.selector.select(world.endpoints);
      expectShares(pickShares({ ...world, balancer }), [1 / 4, 3 / 4], 0.08);
    });
  });
}
