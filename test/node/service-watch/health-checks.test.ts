import { describe, expect, test } from "bun:test";
import { CHECKS_MAX, HealthChecks } from "../../../src/node/service-watch/health-checks.ts";
import type { HealthCheckConfig } from "../../../src/snapshot.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { endpointsAt, healthCheck, RecordedLog, SteppedClock, serviceOf, turns } from "./watching.ts";

function setting() {
  const clock = new SteppedClock();
  const log = new RecordedLog();
  const seen = { changes: 0, results: [] as string[], most: 0 };
  /** By host: why it is not well. */
  const problems = new Map<string, string>();
  const asked: { readonly host: string; readonly atMs: number }[] = [];
  let underWay = 0;
  let tookMs = 0;
  const checks = new HealthChecks({
    clock,
    log,
    random: new SeededRandom(1),
    changed: () => void seen.changes++,
    checked: (service, result) => void seen.results.push(`${service} ${result}`),
    async probe(_service, address) {
      if (!("host" in address)) throw new Error("these tests have no unix paths");
      asked.push({ host: address.host, atMs: clock.now() });
      underWay++;
      seen.most = Math.max(seen.most, underWay);
      if (tookMs > 0) await new Promise<void>((resolve) => clock.after(tookMs, resolve));
      underWay--;
      return problems.get(address.host) ?? null;
    },
  });
  return {
    ...{ clock, log, seen, problems, asked, checks },
    /** From now on each check takes this long. */
    slow(durationMs: number) {
      tookMs = durationMs;
    },
    follow(hosts: readonly string[], check: Partial<HealthCheckConfig> | null = {}) {
      const service = serviceOf("orders", {
        healthCheck: check === null ? null : { ...healthCheck, ...check },
      });
      checks.follow([{ service, endpoints: endpointsAt(...hosts) }]);
    },
    timesOf: (host: string) => asked.filter((one) => one.host === host).map(({ atMs }) => atMs),
  };
}

describe("HealthChecks", () => {
  test("HealthChecks asks at once, and takes the first word of each endpoint", async () => {
    const { checks, follow, problems, seen, log } = setting();
    problems.set("10.0.0.2", "connection refused");
    follow(["10.0.0.1", "10.0.0.2"]);
    expect(checks.unhealthy("orders")).toEqual([]);
    await turns();
    expect(checks.unhealthy("orders")).toEqual(["10.0.0.2:80"]);
    expect(seen).toMatchObject({ changes: 1, results: ["orders passed", "orders failed"] });
    expect(log.lines).toEqual([
      {
        level: "warn",
        message: "orders 10.0.0.2:80 is unhealthy: its first check failed (connection refused)",
        fields: { service: "orders", endpoint: "10.0.0.2:80" },
      },
    ]);
  });

  test("HealthChecks takes an endpoint out after failures in a row, and back after passes", async () => {
    const { checks, follow, problems, clock, log, seen } = setting();
    follow(["::1"]);
    await clock.pass(20_000);
    problems.set("::1", "it answered 503");
    await clock.pass(20_000);
    expect(checks.unhealthy("orders")).toEqual(["[::1]:80"]);
    problems.clear();
    await clock.pass(20_000);
    expect(checks.unhealthy("orders")).toEqual([]);
    expect(log.taken()).toEqual([
      "warn orders [::1]:80 is unhealthy: 3 checks in a row failed (last: it answered 503)",
      "info orders [::1]:80 is healthy again: 2 checks in a row passed",
    ]);
    expect(seen.changes).toBe(2);
  });

  test("HealthChecks keeps the interval, within its jitter", async () => {
    const { follow, clock, timesOf } = setting();
    follow(["10.0.0.1"]);
    await clock.pass(60_000);
    const times = timesOf("10.0.0.1");
    const gaps = times.slice(2).map((atMs, at) => atMs - times[at + 1]!);
    expect(times[0]).toBe(0);
    expect(times[1]).toBeLessThanOrEqual(5000);
    for (const gap of gaps) expect(Math.abs(gap - 5000)).toBeLessThanOrEqual(300);
    expect(new Set(gaps).size).toBeGreaterThan(1);
  });

  test("HealthChecks spreads many endpoints over the interval", async () => {
    const { follow, clock, asked } = setting();
    const hosts = Array.from({ length: 50 }, (_, at) => `10.0.0.${at}`);
    follow(hosts);
    await clock.pass(10_000);
    const inEachSecond = Array.from({ length: 5 }, (_, second) => {
      const from = 5000 + second * 1000;
      return asked.filter(({ atMs }) => atMs >= from && atMs < from + 1000).length;
    });
    for (const count of inEachSecond) expect(count).toBeGreaterThan(1);
  });

  test("HealthChecks has at most so many under way, and asks each endpoint once at a time", async () => {
    const { follow, slow, clock, seen, asked } = setting();
    slow(60_000);
    follow(Array.from({ length: CHECKS_MAX + 10 }, (_, at) => `10.0.${at >> 8}.${at & 255}`));
    await clock.pass(59_000, 1000);
    expect([seen.most, asked.length]).toEqual([CHECKS_MAX, CHECKS_MAX]);
    await clock.pass(2_000, 1000);
    expect(seen.most).toBe(CHECKS_MAX);
    expect(new Set(asked.map(({ host }) => host)).size).toBe(CHECKS_MAX + 10);
  });

  test("HealthChecks keeps what it knows of endpoints that stay, and forgets the others", async () => {
    const { checks, follow, problems, clock, asked } = setting();
    for (const host of ["10.0.0.1", "10.0.0.2"]) problems.set(host, "gone");
    follow(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    await turns();
    follow(["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    expect(checks.unhealthy("orders")).toEqual(["10.0.0.2:80"]);
    expect([...checks.views("orders")].map(([address, { verdict }]) => `${address} ${verdict}`)).toEqual([
      "10.0.0.2:80 unhealthy",
      "10.0.0.3:80 healthy",
      "10.0.0.4:80 unchecked",
    ]);
    asked.length = 0;
    await clock.pass(20_000);
    expect([...new Set(asked.map(({ host }) => host))].sort()).toEqual(["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    follow(["10.0.0.2"], null);
    asked.length = 0;
    await clock.pass(20_000);
    expect([checks.unhealthy("orders"), asked, clock.waiting]).toEqual([[], [], 0]);
  });

  test("HealthChecks drops the result of a check that nobody wants any more", async () => {
    const { checks, follow, problems, slow, clock, seen } = setting();
    slow(1000);
    problems.set("10.0.0.1", "gone");
    follow(["10.0.0.1"]);
    await turns();
    follow([]);
    follow(["10.0.0.1"]);
    problems.clear();
    await clock.pass(1_000);
    expect([checks.unhealthy("orders"), seen.results]).toEqual([[], ["orders passed"]]);
  });

  test("HealthChecks asks soon after another check was configured, one at a time", async () => {
    const { checks, follow, problems, clock, timesOf } = setting();
    problems.set("10.0.0.1", "gone");
    follow(["10.0.0.1"], { intervalMs: 60_000 });
    await clock.pass(100_000, 500);
    const before = timesOf("10.0.0.1").length;
    follow(["10.0.0.1"], { intervalMs: 1000 });
    expect(checks.unhealthy("orders")).toEqual(["10.0.0.1:80"]);
    await clock.pass(10_000);
    const more = timesOf("10.0.0.1").length - before;
    expect(more).toBeGreaterThanOrEqual(9);
    expect(more).toBeLessThanOrEqual(12);
  });
});
