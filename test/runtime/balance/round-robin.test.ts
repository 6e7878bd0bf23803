import { describe, expect, test } from "bun:test";
import { anyRequest, createWorld } from "./world.ts";

const roundRobin = { policy: "round-robin" } as const;

describe("round-robin", () => {
  test("takes turns", () => {
    const { balancer } = createWorld(roundRobin, [{}, {}, {}]);
    const names = Array.from({ length: 9 }, () => balancer.pick([], anyRequest)!.name).join("");
    expect("abcabcabcabc").toContain(names);
  });

  test("keeps to weights exactly and spreads the turns", () => {
    const { balancer } = createWorld(roundRobin, [{ weight: 50 }, { weight: 10 }, { weight: 10 }]);
    const names = Array.from({ length: 70 }, () => balancer.pick([], anyRequest)!.name).join("");
    expect(names.replaceAll(/[bc]/g, "")).toHaveLength(50);
    expect(names.replaceAll(/[ac]/g, "")).toHaveLength(10);
    expect(names).not.toMatch(/bb|cc|a{6}/);
  });

  test("rounds weights that would need too long a schedule", () => {
    const { balancer } = createWorld(roundRobin, [{ weight: 99_991 }, { weight: 50_021 }, { weight: 0.5 }]);
    const counts: Record<string, number> = {};
    for (let count = 0; count < 4_097 * 3; count += 1) {
      const { name } = balancer.pick([], anyRequest)!;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    expect(counts.a! / counts.b!).toBeCloseTo(2, 1);
    expect(counts.c).toBeWithin(1, 10);
  });

  test("begins at different endpoints in different workers", () => {
    const firsts = new Set(
      Array.from({ length: 20 }, (_, seed) => {
        const { balancer } = createWorld(roundRobin, [{}, {}, {}, {}], { seed });
        return balancer.pick([], anyRequest)!.name;
      }),
    );
    expect(firsts.size).toBe(4);
  });
});
