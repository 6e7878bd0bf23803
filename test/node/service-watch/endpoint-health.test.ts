import { expect, test } from "bun:test";
import { EndpointHealth } from "../../../src/node/service-watch/endpoint-health.ts";
import { healthCheck } from "./watching.ts";

/** What each result said; `+` a good check, anything else a bad one and why. */
function judged(health: EndpointHealth, ...results: readonly string[]): (string | null)[] {
  return results.map((result, at) =>
    health.judge({ problem: result === "+" ? null : result, atEpochMs: at * 1000, tookMs: 2.4 }),
  );
}

test("EndpointHealth counts as well until it was checked, and takes the first check's word", () => {
  const health = new EndpointHealth(healthCheck);
  expect([health.verdict, health.isWell]).toEqual(["unchecked", true]);
  expect(judged(health, "+")).toEqual([null]);
  expect(health.verdict).toBe("healthy");

  const broken = new EndpointHealth(healthCheck);
  expect(judged(broken, "connection refused")).toEqual([
    "is unhealthy: its first check failed (connection refused)",
  ]);
  expect(broken.isWell).toBe(false);
});

test("EndpointHealth changes its mind after enough results in a row, and says why", () => {
  const health = new EndpointHealth(healthCheck);
  expect(judged(health, "+", "a", "b", "+", "a", "b")).toEqual([null, null, null, null, null, null]);
  expect(health.isWell).toBe(true);
  expect(judged(health, "it answered 503")).toEqual([
    "is unhealthy: 3 checks in a row failed (last: it answered 503)",
  ]);
  expect(judged(health, "+", "c", "+")).toEqual([null, null, null]);
  expect(health.isWell).toBe(false);
  expect(judged(health, "+")).toEqual(["is healthy again: 2 checks in a row passed"]);
  expect(health.isWell).toBe(true);
});

test("EndpointHealth needs only one result where the config says so", () => {
  const health = new EndpointHealth({ ...healthCheck, healthy: 1, unhealthy: 1 });
  expect(judged(health, "+", "gone", "+")).toEqual([
    null,
    "is unhealthy: a check failed (gone)",
    "is healthy again: a check passed",
  ]);
});

test("EndpointHealth keeps its verdict under another check, and counts from the start", () => {
  const health = new EndpointHealth(healthCheck);
  judged(health, "+", "a", "b");
  health.configure({ ...healthCheck, unhealthy: 2 });
  expect(judged(health, "c")).toEqual([null]);
  expect(health.isWell).toBe(true);
  expect(judged(health, "d")).toEqual(["is unhealthy: 2 checks in a row failed (last: d)"]);
});

test("EndpointHealth shows what it knows", () => {
  const health = new EndpointHealth(healthCheck);
  expect(health.view()).toEqual({ verdict: "unchecked", since: null, against: "0 of 1", lastCheck: null });
  judged(health, "+", "a");
  expect(health.view()).toEqual({
    verdict: "healthy",
    since: "1970-01-01T00:00:00.000Z",
    against: "1 of 3",
    lastCheck: { at: "1970-01-01T00:00:01.000Z", tookMs: 2, problem: "a" },
  });
});
