import { describe, expect, test } from "bun:test";
import { createWorld, type Endpoint, expectShares, keyed, pickShares, policies, type Sort } from "./world.ts";

const random = { policy: "random" } as const;
const ringHash = { policy: "ring-hash", key: { by: "ip" } } as const;
const outliers = { consecutiveErrors: 5, ejectionMs: 30_000, ejectionMaxMs: 300_000, ejectedShareMax: 0.5 };

/** As many endpoints of a zone, the first of them unhealthy. */
function zone(name: string, count: number, unhealthy = 0): (Sort & { unhealthy: boolean })[] {
  return Array.from({ length: count }, (_, index) => ({ zone: name, unhealthy: index < unhealthy }));
}

function worldOf(
  sorts: readonly (Sort & { unhealthy?: boolean })[],
  options: { panicShare?: number; zone?: string; loadBalancing?: (typeof policies)[number] } = {},
) {
  const { panicShare = 0.5, loadBalancing = random } = options;
  const place = options.zone === undefined ? {} : { zone: options.zone };
  const world = createWorld(loadBalancing, sorts, { ...place, config: { panicShare } });
  for (const [index, sort] of sorts.entries())
    if (sort.unhealthy === true) world.endpoints[index]!.standing.health = "unhealthy";
  return { ...world, ...world.selector.select(world.endpoints) };
}

/** The share of all picks that goes to endpoints of this zone. */
function zoneShare(world: ReturnType<typeof worldOf>, name: string): number {
  const shares = pickShares(world);
  return world.endpoints.reduce((sum, { zone }, index) => sum + (zone === name ? shares[index]! : 0), 0);
}

describe("selection", () => {
  test.each(policies)(
    "of $policy gives nothing to an endpoint that is unhealthy or ejected",
    (loadBalancing) => {
      const world = createWorld(loadBalancing, [{}, {}, {}, {}]);
      world.endpoints[0]!.standing.health = "unhealthy";
      world.endpoints[2]!.standing.eject(0, outliers);
      const { balancer, dueAtMs } = world.selector.select(world.endpoints);
      const [first, second, third, fourth] = pickShares({ ...world, balancer }, 2_000);
      expect([first, third]).toEqual([0, 0]);
      expect(second! + fourth!).toBeCloseTo(1, 5);
      expect(dueAtMs).toBe(30_000);
      world.clock.advance(30_000);
      const later = world.selector.select(world.endpoints);
      expect(pickShares({ ...world, balancer: later.balancer }, 2_000)[2]).toBeGreaterThan(0.1);
      expect(later.dueAtMs).toBe(Infinity);
    },
  );

  test("panics below the share, and then uses all", () => {
    const calm = worldOf(zone("x", 4, 2));
    expect(calm.panic).toBe("no");
    expectShares(pickShares(calm), [0, 0, 0.5, 0.5], 0.02);
    const panic = worldOf(zone("x", 4, 3));
    expect(panic.panic).toBe("yes");
    expectShares(pickShares(panic), [0.25, 0.25, 0.25, 0.25], 0.02);
  });

  test("never panics with a share of 0: nobody is picked when nobody is well", () => {
    const world = worldOf(zone("x", 3, 3), { panicShare: 0 });
    expect(world.panic).toBe("no");
    expect(world.balancer.pick([], keyed("caller"))).toBeNull();
  });

  test("panics when all that are left fail like those that are out", () => {
    const left = worldOf(zone("x", 4, 2));
    const panicAfter = () => left.selector.select(left.endpoints).panic;
    left.endpoints[2]!.standing.keep();
    expect(panicAfter()).toBe("no");
    left.endpoints[3]!.standing.keep();
    expect(panicAfter()).toBe("yes");
    const { balancer } = left.selector.select(left.endpoints);
    expectShares(pickShares({ ...left, balancer }), [0.25, 0.25, 0.25, 0.25], 0.02);
    left.endpoints[2]!.standing.succeeded(0);
    expect(panicAfter()).toBe("no");
  });

  test("does not panic when all fail and nobody is out, nor with a share of 0", () => {
    for (const { unhealthy, panicShare } of [
      { unhealthy: 0, panicShare: 0.5 },
      { unhealthy: 1, panicShare: 0 },
    ]) {
      const world = worldOf(zone("x", 2, unhealthy), { panicShare });
      for (const { standing } of world.endpoints) standing.keep();
      expect(world.selector.select(world.endpoints).panic).toBe("no");
    }
  });

  test("does not panic for a service without endpoints, nor count those of weight 0", () => {
    expect(worldOf([]).panic).toBe("no");
    const resting = { weight: 0, unhealthy: true };
    expect(worldOf([{}, resting, resting, resting]).panic).toBe("no");
  });
});

describe("zones", () => {
  test("do not count on a node without one", () => {
    const world = worldOf([...zone("here", 2), ...zone("there", 2)]);
    expectShares(pickShares(world), [0.25, 0.25, 0.25, 0.25], 0.02);
  });

  test("do not count where the own one has no endpoint", () => {
    const world = worldOf([...zone("there", 2), ...zone("elsewhere", 2)], { zone: "here" });
    expectShares(pickShares(world), [0.25, 0.25, 0.25, 0.25], 0.02);
  });

  test.each(policies)("keep requests in the own one while it is well: $policy", (loadBalancing) => {
    const world = worldOf([...zone("here", 2), ...zone("there", 4), {}], { zone: "here", loadBalancing });
    expect(zoneShare(world, "here")).toBe(1);
  });

  test.each([
    { unwell: 0, stay: 1 },
    { unwell: 1, stay: 1 },
    { unwell: 2, stay: 0.84 },
    { unwell: 3, stay: 0.56 },
    { unwell: 4, stay: 0.28 },
    { unwell: 5, stay: 0 },
  ])("spill to others when $unwell of 5 are not well: $stay stays", ({ unwell, stay }) => {
    for (const loadBalancing of [random, ringHash]) {
      const world = worldOf([...zone("here", 5, unwell), ...zone("there", 5)], {
        zone: "here",
        loadBalancing,
      });
      expect(world.panic).toBe("no");
      expect(Math.abs(zoneShare(world, "here") - stay)).toBeLessThan(0.02);
    }
  });

  test("share what both can take when neither can take all", () => {
    const world = worldOf([...zone("here", 5, 3), ...zone("there", 5, 4)], { zone: "here", panicShare: 0.2 });
    // 1.4 * 40 % here and 1.4 * 20 % there.
    expect(world.panic).toBe("no");
    expect(Math.abs(zoneShare(world, "here") - 2 / 3)).toBeLessThan(0.02);
  });

  test("panic together when neither can take all and too few are well", () => {
    const world = worldOf([...zone("here", 5, 4), ...zone("there", 5, 4)], { zone: "here" });
    expect(world.panic).toBe("yes");
    expectShares(pickShares(world), Array(10).fill(0.1), 0.02);
  });

  test("never panic while the others can take all, however few are well", () => {
    const world = worldOf([...zone("here", 8, 8), ...zone("there", 2)], { zone: "here" });
    expect(world.panic).toBe("no");
    expectShares(pickShares(world), [...Array(8).fill(0), 0.5, 0.5], 0.02);
  });

  test.each(policies)(
    "let a request whose endpoints were all tried here go there: $policy",
    (loadBalancing) => {
      const world = worldOf([...zone("here", 2), ...zone("there", 2)], { zone: "here", loadBalancing });
      for (let request = 0; request < 20; request += 1) {
        const tried: Endpoint[] = [];
        for (let time = 0; time < 4; time += 1)
          tried.push(world.balancer.pick(tried, keyed(`caller ${request}`))!);
        expect(tried.map(({ zone }) => zone)).toEqual(["here", "here", "there", "there"]);
        expect(new Set(tried).size).toBe(4);
        expect(world.endpoints).toContain(world.balancer.pick(tried, keyed(`caller ${request}`))!);
      }
    },
  );

  test("leave a key with its endpoint also while they spill", () => {
    const world = worldOf([...zone("here", 5, 3), ...zone("there", 5)], {
      zone: "here",
      loadBalancing: ringHash,
    });
    for (let key = 0; key < 100; key += 1) {
      const first = world.balancer.pick([], keyed(`caller ${key}`))!;
      for (let again = 0; again < 5; again += 1)
        expect(world.balancer.pick([], keyed(`caller ${key}`))).toBe(first);
    }
  });
});

describe("slow start", () => {
  const weighing = policies.filter(({ policy }) => policy !== "ring-hash");
  test.each(weighing)("gives a new endpoint a share that grows evenly: $policy", (loadBalancing) => {
    const world = createWorld(loadBalancing, [{}, {}], { config: { slowStartMs: 30_000 } });
    world.clock.advance(1_000);
    world.endpoints[1]!.standing.startedAtMs = 1_000;
    for (const [afterMs, warmth] of [
      [0, 0.1],
      [3_000, 0.1],
      [15_000, 0.5],
      [24_000, 0.8],
      [30_000, 1],
    ] as const) {
      world.clock.advance(1_000 + afterMs - world.clock.now());
      const { balancer, dueAtMs } = world.selector.select(world.endpoints);
      expectShares(pickShares({ ...world, balancer }), [1 / (1 + warmth), warmth / (1 + warmth)], 0.02);
      expect(dueAtMs).toBe(warmth === 1 ? Infinity : 31_000);
    }
  });

  test("changes nothing while all endpoints are as old", () => {
    const world = createWorld(random, [{}, {}, {}], { config: { slowStartMs: 30_000 } });
    for (const { standing } of world.endpoints) standing.startedAtMs = 0;
    const { balancer } = world.selector.select(world.endpoints);
    expectShares(pickShares({ ...world, balancer }), [1 / 3, 1 / 3, 1 / 3], 0.02);
  });

  test("leaves keys with their endpoints", () => {
    const world = createWorld(ringHash, [{}, {}], { config: { slowStartMs: 30_000 } });
    const before = pickShares(world, 500);
    world.endpoints[1]!.standing.startedAtMs = 0;
    const { balancer, dueAtMs } = world.selector.select(world.endpoints);
    expect(pickShares({ ...world, balancer }, 500)).toEqual(before);
    expect(dueAtMs).toBe(Infinity);
  });

  test("follows an ejection, whose end is due first", () => {
    const world = createWorld(random, [{}, {}, {}], { config: { slowStartMs: 10_000 } });
    world.endpoints[0]!.standing.eject(0, outliers);
    expect(world.selector.select(world.endpoints).dueAtMs).toBe(30_000);
    world.clock.advance(30_000);
    const { balancer, dueAtMs } = world.selector.select(world.endpoints);
    expect(dueAtMs).toBe(40_000);
    expectShares(pickShares({ ...world, balancer }), [0.1 / 2.1, 1 / 2.1, 1 / 2.1], 0.02);
  });
});
