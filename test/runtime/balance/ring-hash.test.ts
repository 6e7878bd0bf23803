import { describe, expect, test } from "bun:test";
import { HashRing, hashText } from "../../../src/runtime/balance/hash-ring.ts";
import { createWorld, keyed, pickShares } from "./world.ts";

const ringHash = { policy: "ring-hash", key: { by: "cookie", name: "session" } } as const;
const hashes = Array.from({ length: 20_000 }, (_, index) => hashText(`session ${index}`));

function members(count: number, weight = 1) {
  return Array.from({ length: count }, (_, index) => ({ name: `10.0.0.${index}:80`, load: { weight } }));
}

function ownersOn(ring: HashRing<{ name: string; load: { weight: number } }>): string[] {
  return hashes.map((hash) => ring.find(hash, () => true)!.name);
}

/** The part of all keys that have another endpoint than before. */
function moved(before: readonly string[], after: readonly string[]): number {
  return before.filter((name, index) => name !== after[index]).length / before.length;
}

describe("hash ring", () => {
  test.each([3, 10, 100])("of %d: one that goes gives only its own keys away, about 1/n", (count) => {
    const all = members(count);
    const before = ownersOn(new HashRing(all));
    const after = ownersOn(new HashRing(all.slice(1)));
    for (const [index, name] of before.entries()) if (name !== all[0]!.name) expect(after[index]).toBe(name);
    expect(moved(before, after)).toBeWithin(0.7 / count, 1.3 / count);
  });

  test.each([3, 10, 100])(
    "of %d: one that comes takes about 1/n of the keys, and moves no other",
    (count) => {
      const all = members(count);
      const before = ownersOn(new HashRing(all.slice(1)));
      const after = ownersOn(new HashRing(all));
      for (const [index, name] of after.entries())
        if (name !== all[0]!.name) expect(before[index]).toBe(name);
      expect(moved(before, after)).toBeLessThan(1.3 / count);
    },
  );

  test("is the same whatever order its members are named in", () => {
    const all = members(10);
    expect(ownersOn(new HashRing(all))).toEqual(ownersOn(new HashRing(all.toReversed())));
  });

  test("shares keys evenly, of 1,000 too", () => {
    for (const count of [10, 1_000]) {
      const counts = new Map<string, number>();
      const ring = new HashRing(members(count));
      for (let key = 0; key < 200_000; key += 1) {
        const { name } = ring.find(hashText(`user ${key}`), () => true)!;
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
      expect(counts.size).toBe(count);
      expect(Math.max(...counts.values()) / (200_000 / count)).toBeLessThan(1.5);
    }
  });

  test("knows its members, and no others, by identity and weight", () => {
    const all = members(3);
    const ring = new HashRing(all);
    expect(ring.isOf([...all])).toBe(true);
    expect(ring.isOf(all.slice(1))).toBe(false);
    expect(ring.isOf(members(3))).toBe(false);
    all[1]!.load.weight = 2;
    expect(ring.isOf(all)).toBe(false);
  });

  test("of none finds none", () => {
    expect(new HashRing([]).find(7, () => true)).toBeNull();
    expect(new HashRing(members(3)).find(2 ** 32 - 1, () => false)).toBeNull();
  });
});

describe("ring-hash", () => {
  test("gives one key always the same endpoint, and different keys different ones", () => {
    const { balancer } = createWorld(ringHash, [{}, {}, {}]);
    const names = new Set<string>();
    for (let key = 0; key < 50; key += 1) {
      const { name } = balancer.pick([], keyed(`session ${key}`))!;
      names.add(name);
      for (let again = 0; again < 5; again += 1)
        expect(balancer.pick([], keyed(`session ${key}`))!.name).toBe(name);
    }
    expect(names.size).toBe(3);
  });

  test("asks for the configured key, and picks any endpoint for a request without it", () => {
    const { balancer, endpoints } = createWorld(ringHash, [{}, {}, {}]);
    const asked: unknown[] = [];
    const names = new Set<string>();
    for (let request = 0; request < 50; request += 1) {
      const keyValue = (key: unknown) => {
        asked.push(key);
        return null;
      };
      names.add(balancer.pick([], { keyValue })!.name);
    }
    expect(new Set(asked)).toEqual(new Set([ringHash.key]));
    expect(names.size).toBe(endpoints.length);
  });

  test("moves only the keys of an endpoint that is not well, and moves them back", () => {
    const world = createWorld(ringHash, [{}, {}, {}, {}]);
    const picks = (balancer = world.balancer) =>
      Array.from({ length: 2_000 }, (_, key) => balancer.pick([], keyed(`session ${key}`))!.name);
    const before = picks();
    world.endpoints[0]!.standing.health = "unhealthy";
    const without = picks(world.selector.select(world.endpoints).balancer);
    for (const [index, name] of before.entries()) {
      if (name === "a") expect(without[index]).not.toBe("a");
      else expect(without[index]).toBe(name);
    }
    world.endpoints[0]!.standing.health = "healthy";
    expect(picks(world.selector.select(world.endpoints).balancer)).toEqual(before);
  });

  test("spreads the keys of an endpoint that is not well over all others", () => {
    const world = createWorld(ringHash, [{}, {}, {}, {}]);
    world.endpoints[0]!.standing.health = "unhealthy";
    const { balancer } = world.selector.select(world.endpoints);
    const shares = pickShares({ ...world, balancer });
    for (const share of shares.slice(1)) expect(share).toBeWithin(0.25, 0.42);
  });

  test("gives a request whose endpoint was tried always the same other one", () => {
    const { balancer } = createWorld(ringHash, [{}, {}, {}]);
    const request = keyed("session 1");
    const first = balancer.pick([], request)!;
    const second = balancer.pick([first], request)!;
    expect(second).not.toBe(first);
    for (let again = 0; again < 20; again += 1) expect(balancer.pick([first], request)).toBe(second);
  });
});
