import { describe, expect, test } from "bun:test";
import { createBalancer, EndpointLoad } from "../../src/runtime/balance.ts";
import { SeededRandom } from "../seeded-random.ts";
import { VirtualClock } from "../virtual-clock.ts";

interface Endpoint {
  readonly name: string;
  readonly load: EndpointLoad;
  /** How long it takes for an answer, or before it fails. */
  answerMs: number;
  fails: boolean;
  requests: number;
}

type Policy = "least-latency" | "round-robin";

function setUp(policy: Policy, sorts: { weight?: number; answerMs?: number; fails?: boolean }[], seed = 7) {
  const clock = new VirtualClock();
  const random = new SeededRandom(seed);
  const endpoints = sorts.map(
    ({ weight = 1, answerMs = 5, fails = false }, index): Endpoint => ({
      name: "abcdefghij"[index]!,
      load: new EndpointLoad(weight, clock),
      answerMs,
      fails,
      requests: 0,
    }),
  );
  return { clock, random, endpoints, balancer: createBalancer(policy, endpoints, { clock, random }) };
}

/** Sends requests at a steady rate, whether or not the ones before have been answered. */
function send(world: ReturnType<typeof setUp>, load: { perSecond: number; seconds: number }) {
  const { clock, balancer, endpoints } = world;
  for (const endpoint of endpoints) endpoint.requests = 0;
  for (let count = 0; count < load.perSecond * load.seconds; count += 1) {
    const endpoint = balancer.pick([])!;
    endpoint.requests += 1;
    const startedMs = endpoint.load.begin();
    clock.after(endpoint.answerMs, () =>
      endpoint.fails ? endpoint.load.failed(startedMs) : endpoint.load.answered(startedMs),
    );
    clock.advance(1000 / load.perSecond);
  }
  const total = load.perSecond * load.seconds;
  return endpoints.map((endpoint) => endpoint.requests / total);
}

describe("least-latency", () => {
  test("gives endpoints that are alike the same share", () => {
    for (const perSecond of [20, 2_000]) {
      const shares = send(setUp("least-latency", [{}, {}, {}, {}]), { perSecond, seconds: 10 });
      for (const share of shares) expect(Math.abs(share - 0.25)).toBeLessThan(0.05);
    }
  });

  test("keeps to weights, with little to do and with much", () => {
    for (const perSecond of [100, 2_000]) {
      const world = setUp("least-latency", [{ weight: 1 }, { weight: 2 }, { weight: 5 }]);
      const shares = send(world, { perSecond, seconds: 20 });
      for (const [index, wanted] of [1 / 8, 2 / 8, 5 / 8].entries()) {
        expect(Math.abs(shares[index]! - wanted)).toBeLessThan(0.04);
      }
    }
  });

  test("weighs latency against weight: shares move towards weight / latency²", () => {
    const world = setUp("least-latency", [
      { weight: 9, answerMs: 20 },
      { weight: 1, answerMs: 10 },
    ]);
    send(world, { perSecond: 10, seconds: 60 });
    const [heavy] = send(world, { perSecond: 10, seconds: 600 });
    // First drawn 9 times of 10, and then left for the light one with the chance 1/9 * 2².
    expect(Math.abs(heavy! - 0.6)).toBeLessThan(0.03);
  });

  test("prefers the shorter queue, also of endpoints with nothing measured for hours", () => {
    for (const silenceMs of [0, 1e9]) {
      const { clock, balancer, endpoints } = setUp("least-latency", [{}, {}]);
      clock.advance(silenceMs);
      for (let count = 0; count < 9; count += 1) endpoints[0]!.load.begin();
      const picks = Array.from({ length: 1_000 }, () => balancer.pick([])!.name);
      expect(picks.filter((name) => name === "a").length).toBeLessThan(20);
    }
  });

  test("gives a slow endpoint little", () => {
    for (const perSecond of [20, 500]) {
      const world = setUp("least-latency", [{}, {}, { answerMs: 100 }]);
      send(world, { perSecond, seconds: 5 });
      const [, , slow] = send(world, { perSecond, seconds: 20 });
      expect(slow).toBeLessThan(0.03);
    }
  });

  test("tries an endpoint that is no longer slow again, and gives it its share back", () => {
    const world = setUp("least-latency", [{}, { answerMs: 500 }]);
    send(world, { perSecond: 200, seconds: 10 });
    world.endpoints[1]!.answerMs = 5;
    send(world, { perSecond: 200, seconds: 60 });
    const [, recovered] = send(world, { perSecond: 200, seconds: 20 });
    expect(recovered).toBeGreaterThan(0.35);
  });

  test("does not prefer an endpoint that fails fast", () => {
    for (const perSecond of [20, 2_000]) {
      const world = setUp("least-latency", [{ answerMs: 20 }, { answerMs: 1, fails: true }]);
      const [, failing] = send(world, { perSecond, seconds: 10 });
      expect(failing).toBeLessThan(0.03);
    }
  });

  test("sends about as few requests a second to a failing endpoint however many there are", () => {
    const world = setUp("least-latency", [{}, {}, { answerMs: 1, fails: true }]);
    send(world, { perSecond: 4_000, seconds: 5 });
    send(world, { perSecond: 4_000, seconds: 20 });
    expect(world.endpoints[2]!.requests).toBeWithin(1, 20);
  });

  test("does not prefer a failing endpoint to slow ones", () => {
    const world = setUp("least-latency", [{ answerMs: 3_000 }, { answerMs: 1, fails: true }]);
    send(world, { perSecond: 5, seconds: 20 });
    const [, failing] = send(world, { perSecond: 5, seconds: 60 });
    expect(failing).toBeLessThan(0.1);
  });

  test("takes failures of requests that were under way together for one", () => {
    const clock = new VirtualClock();
    const load = new EndpointLoad(1, clock);
    const started = Array.from({ length: 100 }, () => load.begin());
    clock.advance(1);
    for (const startedMs of started) load.failed(startedMs);
    expect(load.latencyMs(clock.now())).toBeLessThan(100);
    clock.advance(1);
    load.failed(load.begin());
    expect(load.latencyMs(clock.now())).toBeGreaterThan(150);
  });

  test("neither floods nor starves a new endpoint", () => {
    const old = setUp("least-latency", [{ answerMs: 1 }, { answerMs: 1 }]);
    send(old, { perSecond: 500, seconds: 60 });
    const { clock, random } = old;
    const fresh: Endpoint = {
      ...old.endpoints[0]!,
      load: new EndpointLoad(1, clock),
      name: "new",
      requests: 0,
    };
    const endpoints = [...old.endpoints, fresh];
    const world = {
      ...old,
      endpoints,
      balancer: createBalancer("least-latency", endpoints, { clock, random }),
    };
    const [, , first] = send(world, { perSecond: 500, seconds: 2 });
    expect(first).toBeLessThan(0.05);
    const [, , later] = send(world, { perSecond: 500, seconds: 60 });
    expect(later).toBeGreaterThan(0.1);
  });

  test("counts a request as outstanding until its answer, failure or abandonment", () => {
    const clock = new VirtualClock();
    const load = new EndpointLoad(1, clock);
    const started = [load.begin(), load.begin(), load.begin()] as const;
    expect(load.outstanding).toBe(3);
    load.answered(started[0]);
    load.failed(started[1]);
    load.abandoned(started[2]);
    expect(load.outstanding).toBe(0);
  });

  test("takes an abandoned request for a measurement only if it waited longer than was expected", () => {
    const clock = new VirtualClock();
    const load = new EndpointLoad(1, clock);
    const before = load.latencyMs(clock.now());
    load.abandoned(load.begin());
    expect(load.latencyMs(clock.now())).toBe(before);
    const startedMs = load.begin();
    clock.advance(400);
    load.abandoned(startedMs);
    expect(load.latencyMs(clock.now())).toBe(400);
  });

  test("stays finite after a long silence and with answers in no time", () => {
    const world = setUp("least-latency", [{ answerMs: 0 }, { answerMs: 0 }]);
    send(world, { perSecond: 100, seconds: 1 });
    world.clock.advance(1e9);
    const shares = send(world, { perSecond: 100, seconds: 10 });
    for (const share of shares) expect(share).toBeWithin(0.3, 0.7);
  });
});

describe("round-robin", () => {
  test("takes turns", () => {
    const { balancer } = setUp("round-robin", [{}, {}, {}]);
    const names = Array.from({ length: 9 }, () => balancer.pick([])!.name).join("");
    expect("abcabcabcabc").toContain(names);
  });

  test("keeps to weights exactly and spreads the turns", () => {
    const { balancer } = setUp("round-robin", [{ weight: 50 }, { weight: 10 }, { weight: 10 }]);
    const names = Array.from({ length: 70 }, () => balancer.pick([])!.name).join("");
    expect(names.replaceAll(/[bc]/g, "")).toHaveLength(50);
    expect(names.replaceAll(/[ac]/g, "")).toHaveLength(10);
    expect(names).not.toMatch(/bb|cc|a{6}/);
  });

  test("rounds weights that would need too long a schedule", () => {
    const { balancer } = setUp("round-robin", [{ weight: 99_991 }, { weight: 50_021 }, { weight: 0.5 }]);
    const counts: Record<string, number> = {};
    for (let count = 0; count < 4_097 * 3; count += 1) {
      const { name } = balancer.pick([])!;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    expect(counts.a! / counts.b!).toBeCloseTo(2, 1);
    expect(counts.c).toBeWithin(1, 10);
  });

  test("begins at different endpoints in different workers", () => {
    const firsts = new Set(
      Array.from({ length: 20 }, (_, seed) => {
        const { balancer } = setUp("round-robin", [{}, {}, {}, {}], seed);
        return balancer.pick([])!.name;
      }),
    );
    expect(firsts.size).toBe(4);
  });
});

describe("balancer", () => {
  const policies: Policy[] = ["least-latency", "round-robin"];
  test.each(policies)("%s picks what was not tried, then any again, and null of none", (policy) => {
    const { balancer, endpoints } = setUp(policy, [{ weight: 9 }, { weight: 1 }, { weight: 3 }]);
    for (let round = 0; round < 50; round += 1) {
      const tried: Endpoint[] = [];
      for (const _ of endpoints) tried.push(balancer.pick(tried)!);
      expect(new Set(tried).size).toBe(3);
      expect(endpoints).toContain(balancer.pick(tried)!);
    }
    expect(setUp(policy, []).balancer.pick([])).toBeNull();
    const alone = setUp(policy, [{}]);
    expect(alone.balancer.pick(alone.endpoints)).toBe(alone.endpoints[0]!);
  });

  test.each(policies)("%s gives nothing to an endpoint of weight 0", (policy) => {
    const world = setUp(policy, [{ weight: 0 }, { weight: 1 }]);
    expect(send(world, { perSecond: 100, seconds: 2 })).toEqual([0, 1]);
  });
});
