import { expect, test } from "bun:test";
import { cutSnapshot, ReceivedParts } from "../../src/node/parts.ts";
import type { Snapshot } from "../../src/snapshot.ts";
import { VirtualClock } from "../virtual-clock.ts";

/** Listeners with so many routes each, and so many services. */
function snapshot(routes: readonly number[], services: number): Snapshot {
  return {
    version: 3,
    listeners: routes.map((count, listener) => ({
      name: `listener-${listener}`,
      routes: Array.from({ length: count }, (_, index) => ({ name: `${listener}-${index}` })),
    })),
    services: Array.from({ length: services }, (_, index) => ({ name: `service-${index}` })),
  } as unknown as Snapshot;
}

test("cutSnapshot leaves a small one whole", () => {
  const small = snapshot([100, 3], 100);
  expect(cutSnapshot(small)).toEqual({ parts: [], rest: small });
});

test("cutSnapshot and ReceivedParts.take give the same again, in order, whatever was long", () => {
  for (const [routes, services] of [
    [[101], 0],
    [[0, 1_000, 250], 5],
    [[1, 1], 1_001],
    [[], 0],
  ] as const) {
    const whole = snapshot(routes, services);
    const { parts, rest } = cutSnapshot(whole);
    const received = new ReceivedParts(new VirtualClock());
    expect(parts.map((part) => received.add(part))).toEqual([...parts.keys()].map((index) => index + 1));
    expect(received.take(rest).snapshot).toEqual(whole);
  }
});

test("ReceivedParts forgets what it gave", () => {
  const { parts, rest } = cutSnapshot(snapshot([150], 0));
  const received = new ReceivedParts(new VirtualClock());
  for (const part of parts) received.add(part);
  received.take(rest);
  expect(received.take(rest).snapshot).toEqual(rest);
});

test("cutSnapshot is done once for all workers", () => {
  const whole = snapshot([1_000], 0);
  expect(cutSnapshot(whole)).toBe(cutSnapshot(whole));
});
