import { describe, expect, test } from "bun:test";
import { createAggregator, createWorkerMeters } from "../../src/telemetry/index.ts";
import { LABEL_CHARACTERS_MAX, SERIES_MAX } from "../../src/telemetry/series.ts";
import { createTestNode, noFacts, samplesOf } from "./meters.ts";

/** Lines that come from traffic: all but the gauges and what is known of the processes. */
function trafficLines(text: string): string[] {
  return [...samplesOf(text).keys()].filter(
    (sample) => !/^(clearway_(connections|build_info)|process_)/.test(sample),
  );
}

const allOther =
  'clearway_requests_total{listener="other",route="other",service="other",method="other",status="other",reason="other"}';

describe("series limit", () => {
  test("a method outside the standard set counts as other", () => {
    const { meters, text } = createTestNode();
    for (const method of ["BREW", "get", "PROPFIND"])
      meters.route("web", "r").record("s", method, 200, "", 1);
    const samples = samplesOf(text());
    const name =
      'clearway_requests_total{listener="web",route="r",service="s",method="other",status="200",reason=""}';
    expect(samples.get(name)).toBe(3);
    expect([...samples.keys()].filter((sample) => sample.startsWith("clearway_requests_total"))).toHaveLength(
      1,
    );
  });

  test("versions of a filter that are forgotten make room for others", () => {
    const aggregator = createAggregator({ seriesMax: 500 });
    const meters = createWorkerMeters();
    for (let version = 0; version < 100; version++) {
      meters.filter("./tenant.ts", `${version}`, 1);
      aggregator.add(1, meters.delta());
      if (version >= 3) aggregator.forgetFilter("./tenant.ts", `${version - 3}`);
    }
    expect(aggregator.filters().map(({ version }) => version)).toEqual(["97", "98", "99"]);
  });

  test("ten thousand lines are the most, and every request is still counted", () => {
    const { meters, text } = createTestNode();
    for (let at = 0; at < 2000; at++) meters.route("web", `route-${at}`).record("s", "GET", 200, "", 1);
    const shown = text();
    const lines = trafficLines(shown);
    expect(SERIES_MAX).toBe(10_000);
    expect(lines.length).toBeLessThanOrEqual(SERIES_MAX);
    expect(lines.length).toBeGreaterThan(SERIES_MAX - 100);
    const samples = samplesOf(shown);
    const total = [...samples].filter(([sample]) => sample.startsWith("clearway_requests_total"));
    expect(total.reduce((sum, [, value]) => sum + value, 0)).toBe(2000);
    expect(samples.get(allOther)).toBeGreaterThan(1000);
  });

  test("holds over all workers together", () => {
    const aggregator = createAggregator({ seriesMax: 300 });
    for (const workerId of [1, 2, 3]) {
      const meters = createWorkerMeters({ seriesMax: 300 });
      for (let at = 0; at < 20; at++) meters.route("web", `${workerId}-${at}`).record("s", "GET", 200, "", 1);
      aggregator.add(workerId, meters.delta());
    }
    const shown = aggregator.render(noFacts);
    expect(trafficLines(shown).length).toBeLessThanOrEqual(300);
    const total = [...samplesOf(shown)].filter(([sample]) => sample.startsWith("clearway_requests_total"));
    expect(total.reduce((sum, [, value]) => sum + value, 0)).toBe(60);
  });

  test("a series that was there keeps counting after the limit", () => {
    const { meters, text } = createTestNode({ seriesMax: 150 });
    const first = meters.route("web", "first");
    first.record("s", "GET", 200, "", 1);
    for (let at = 0; at < 50; at++) meters.route("web", `route-${at}`).record("s", "GET", 200, "", 1);
    meters.route("web", "first").record("s", "GET", 200, "", 1);
    const labels = 'listener="web",route="first",service="s",method="GET",status="200",reason=""';
    expect(samplesOf(text()).get(`clearway_requests_total{${labels}}`)).toBe(2);
  });

  test("reasons of one route beyond 64 count as other", () => {
    const { meters, text } = createTestNode();
    const route = meters.route("web", "r");
    for (let at = 0; at < 100; at++) route.record("s", "GET", 503, `reason-${at}`, 1);
    const samples = samplesOf(text());
    const labels = 'listener="web",route="r",service="s",method="GET",status="503"';
    expect(samples.get(`clearway_requests_total{${labels},reason="reason-63"}`)).toBe(1);
    expect(samples.get(`clearway_requests_total{${labels},reason="reason-64"}`)).toBeUndefined();
    expect(samples.get(`clearway_requests_total{${labels},reason="other"}`)).toBe(36);
  });

  test("the names that filters count under are bounded too", () => {
    const { meters, text } = createTestNode({ seriesMax: 150 });
    for (let at = 0; at < 500; at++) {
      meters.count(`clearway_filter_c${at}_total`, "help");
      meters.observe(`clearway_filter_d${at}_seconds`, "help", 1);
    }
    const shown = text();
    expect(trafficLines(shown).length).toBeLessThanOrEqual(150);
    expect(samplesOf(shown).get("clearway_filter_other_total")).toBeGreaterThan(400);
    expect(samplesOf(shown).get("clearway_filter_other_seconds_count")).toBeGreaterThan(400);
  });

  test("a long value of a label is cut", () => {
    const { meters, text } = createTestNode();
    meters.count("clearway_filter_x_total", "help", { tenant: "t".repeat(5000) });
    const value = "t".repeat(LABEL_CHARACTERS_MAX);
    expect(samplesOf(text()).get(`clearway_filter_x_total{tenant="${value}"}`)).toBe(1);
  });
});
