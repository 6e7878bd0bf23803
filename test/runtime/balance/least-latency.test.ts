import { describe, expect, test } from "bun:test";
import { LeastLatency } from "../../../src/runtime/balance/least-latency.ts";
import { EndpointLoad } from "../../../src/runtime/balance/load.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { anyRequest, createWorld, endpoint, send } from "./world.ts";

const leastLatency = { policy: "least-latency" } as const;

describe("least-latency", () => {
  test("gives endpoints that are alike the same share", () => {
    for (const perSecond of [20, 2_000]) {
      const shares = send(createWorld(leastLatency, [{}, {}, {}, {}]), { perSecond, seconds: 10 });
      for (const share of shares) expect(Math.abs(share - 0.25)).toBeLessThan(0.05);
    }
  });

  test("keeps to weights, with little to do and with much", () => {
    for (const perSecond of [100, 2_000]) {
      const world = createWorld(leastLatency, [{ weight: 1 }, { weight: 2 }, { weight: 5 }]);
      const shares = send(world, { perSecond, seconds: 20 });
      for (const [index, wanted] of [1 / 8, 2 / 8, 5 / 8].entries()) {
        expect(Math.abs(shares[index]! - wanted)).toBeLessThan(0.04);
      }
    }
  });

  test("weighs latency against weight: shares move towards weight / latency²", () => {
    const world = createWorld(leastLatency, [
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
      const { clock, balancer, endpoints } = createWorld(leastLatency, [{}, {}]);
      clock.advance(silenceMs);
      for (let count = 0; count < 9; count += 1) endpoints[0]!.load.begin();
      const picks = Array.from({ length: 1_000 }, () => balancer.pick([], anyRequest)!.name);
      expect(picks.filter((name) => name === "a").length).toBeLessThan(20);
    }
  });

  test("gives a slow endpoint little", () => {
    for (const perSecond of [20, 500]) {
      const world = createWorld(leastLatency, [{}, {}, { answerMs: 100 }]);
      send(world, { perSecond, seconds: 5 });
      const [, , slow] = send(world, { perSecond, seconds: 20 });
      expect(slow).toBeLessThan(0.03);
    }
  });

  test("tries an endpoint that is no longer slow again, and gives it its share back", () => {
    const world = createWorld(leastLatency, [{}, { answerMs: 500 }]);
    send(world, { perSecond: 200, seconds: 10 });
    world.endpoints[1]!.answerMs = 5;
    send(world, { perSecond: 200, seconds: 60 });
    const [, recovered] = send(world, { perSecond: 200, seconds: 20 });
    expect(recovered).toBeGreaterThan(0.35);
  });

  test("does not prefer an endpoint that fails fast", () => {
    for (const perSecond of [20, 2_000]) {
      const world = createWorld(leastLatency, [{ answerMs: 20 }, { answerMs: 1, fails: true }]);
      const [, failing] = send(world, { perSecond, seconds: 10 });
      expect(failing).toBeLessThan(0.03);
    }
  });

  test("sends about as few requests a second to a failing endpoint however many there are", () => {
    const world = createWorld(leastLatency, [{}, {}, { answerMs: 1, fails: true }]);
    send(world, { perSecond: 4_000, seconds: 5 });
    send(world, { perSecond: 4_000, seconds: 20 });
    expect(world.endpoints[2]!.requests).toBeWithin(1, 20);
  });

  test("does not prefer a failing endpoint to slow ones", () => {
    const world = createWorld(leastLatency, [{ answerMs: 3_000 }, { answerMs: 1, fails: true }]);
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
    const old = createWorld(leastLatency, [{ answerMs: 1 }, { answerMs: 1 }]);
    send(old, { perSecond: 500, seconds: 60 });
    const { clock, random } = old;
    const endpoints = [...old.endpoints, endpoint("new", { answerMs: 1 }, clock)];
    const world = { ...old, endpoints, balancer: new LeastLatency(endpoints, { clock, random }) };
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
    expect(load.latencyMs(clock.now())).toBeGreaterThan(2 * before);
  });

  test("takes one late answer for twice the time at most, and forgets it with the next answers", () => {
    const clock = new VirtualClock();
    const load = new EndpointLoad(1, clock);
    const answer = (afterMs: number) => {
      const startedMs = load.begin();
      clock.advance(afterMs);
      load.answered(startedMs);
    };
    for (let count = 0; count < 200; count += 1) answer(5);
    expect(load.latencyMs(clock.now())).toBeCloseTo(5, 0);
    answer(500);
    expect(load.latencyMs(clock.now())).toBeWithin(10, 12);
    for (let count = 0; count < 64; count += 1) answer(5);
    expect(load.latencyMs(clock.now())).toBeLessThan(6);
    for (let count = 0; count < 8; count += 1) answer(500);
    expect(load.latencyMs(clock.now())).toBe(500);
  });

  test("gives a slow endpoint little also when pauses of the process make answers of others late", () => {
    const world = createWorld(leastLatency, [{ answerMs: 50 }, ...Array.from({ length: 9 }, () => ({}))]);
    const pauses = { everyMs: 1_000, forMs: 40 };
    send(world, { perSecond: 500, seconds: 20, pauses });
    const [slow] = send(world, { perSecond: 500, seconds: 60, pauses });
    expect(slow).toBeLessThan(0.01);
  });

  test("stays finite after a long silence and with answers in no time", () => {
    const world = createWorld(leastLatency, [{ answerMs: 0 }, { answerMs: 0 }]);
    send(world, { perSecond: 100, seconds: 1 });
    world.clock.advance(1e9);
    const shares = send(world, { perSecond: 100, seconds: 10 });
    for (const share of shares) expect(share).toBeWithin(0.3, 0.7);
  });
});
