import { expect, test } from "bun:test";
import { EJECTIONS_MAX, Ejections } from "../../../src/node/service-watch/ejections.ts";
import { VirtualClock } from "../../virtual-clock.ts";

test("Ejections keeps each endpoint's longest one until it ends", () => {
  const clock = new VirtualClock();
  const ejections = new Ejections(clock);
  const until = (ms: number) => clock.epochMs() + ms;
  ejections.add([
    { service: "orders", endpoint: "10.0.0.1:80", untilEpochMs: until(100) },
    { service: "orders", endpoint: "10.0.0.2:80", untilEpochMs: until(300) },
    { service: "accounts", endpoint: "10.0.0.1:80", untilEpochMs: until(200) },
  ]);
  ejections.add([{ service: "orders", endpoint: "10.0.0.2:80", untilEpochMs: until(50) }]);
  const [first, second] = [until(100), until(300)];
  expect(ejections.of("orders")).toEqual([
    { endpoint: "10.0.0.1:80", untilEpochMs: first },
    { endpoint: "10.0.0.2:80", untilEpochMs: second },
  ]);
  clock.advance(100);
  expect(ejections.of("orders")).toEqual([{ endpoint: "10.0.0.2:80", untilEpochMs: second }]);
  clock.advance(200);
  expect([ejections.of("orders"), ejections.of("accounts")]).toEqual([[], []]);
});

test("Ejections holds no more than its bound, and takes new ones when old ones ended", () => {
  const clock = new VirtualClock();
  const ejections = new Ejections(clock);
  const numbered = (from: number, count: number) =>
    Array.from({ length: count }, (_, at) => ({
      service: "orders",
      endpoint: `e${from + at}`,
      untilEpochMs: clock.epochMs() + 100,
    }));
  ejections.add(numbered(0, EJECTIONS_MAX + 1));
  expect(ejections.of("orders").length).toBe(EJECTIONS_MAX);
  clock.advance(100);
  ejections.add(numbered(EJECTIONS_MAX, 1));
  expect(ejections.of("orders").map(({ endpoint }) => endpoint)).toEqual([`e${EJECTIONS_MAX}`]);
});
