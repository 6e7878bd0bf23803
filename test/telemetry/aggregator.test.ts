import { describe, expect, test } from "bun:test";
import { createAggregator, createWorkerMeters } from "../../src/telemetry/index.ts";
import { createTestNode, noFacts, samplesOf } from "./meters.ts";

const zero =
  'clearway_requests_total{listener="web",route="orders",service="orders",method="GET",status="200",reason=""}';

describe("aggregator", () => {
  test("counts a request under its labels, and how long it took", () => {
    const { meters, text } = createTestNode();
    const route = meters.route("web", "orders");
    route.record("orders", "GET", 200, "", 3);
    route.record("orders", "GET", 200, "", 40);
    route.record("orders", "POST", 503, "no-healthy-endpoint", 1);
    const samples = samplesOf(text());
    expect(samples.get(zero)).toBe(2);
    const refused = 'service="orders",method="POST",status="503",reason="no-healthy-endpoint"';
    expect(samples.get(`clearway_requests_total{listener="web",route="orders",${refused}}`)).toBe(1);
    const labels = 'listener="web",route="orders",service="orders"';
    const name = "clearway_request_duration_seconds";
    expect(samples.get(`${name}_bucket{${labels},le="0.0005"}`)).toBe(0);
    expect(samples.get(`${name}_bucket{${labels},le="0.005"}`)).toBe(2);
    expect(samples.get(`${name}_bucket{${labels},le="+Inf"}`)).toBe(3);
    expect(samples.get(`${name}_sum{${labels}}`)).toBeCloseTo(0.044, 9);
    expect(samples.get(`${name}_count{${labels}}`)).toBe(3);
  });

  test("counts tries at endpoints by status, and their duration by service", () => {
    const { meters, text } = createTestNode();
    meters.endpoint("orders", "10.0.0.1:9000").record(200, 2);
    meters.endpoint("orders", "10.0.0.2:9000").record(0, 1000);
    const samples = samplesOf(text());
    const name = "clearway_upstream_requests_total";
    expect(samples.get(`${name}{service="orders",endpoint="10.0.0.1:9000",status="200"}`)).toBe(1);
    expect(samples.get(`${name}{service="orders",endpoint="10.0.0.2:9000",status="0"}`)).toBe(1);
    expect(samples.get('clearway_upstream_duration_seconds_count{service="orders"}')).toBe(2);
  });

  test("shows of a service's endpoints the worst that a worker sees, until it or the worker is gone", () => {
    const aggregator = createAggregator();
    const [first, second] = [createWorkerMeters(), createWorkerMeters()];
    const shown = (state: string) => {
      aggregator.add(1, first.delta());
      aggregator.add(2, second.delta());
      const name = `clearway_service_endpoints{service="orders",state="${state}"}`;
      return samplesOf(aggregator.render(noFacts)).get(name);
    };
    first.endpoints("orders", { healthy: 3, unhealthy: 0, ejected: 0 });
    second.endpoints("orders", { healthy: 1, unhealthy: 1, ejected: 1 });
    expect([shown("healthy"), shown("unhealthy"), shown("ejected")]).toEqual([1, 1, 1]);
    second.endpoints("orders", { healthy: 2, unhealthy: 1, ejected: 0 });
    expect([shown("healthy"), shown("unhealthy"), shown("ejected")]).toEqual([2, 1, 0]);
    second.endpoints("orders", null);
    expect(shown("healthy")).toBe(3);
    aggregator.forget(1);
    expect(
      samplesOf(aggregator.render(noFacts)).has(
        'clearway_service_endpoints{service="orders",state="healthy"}',
      ),
    ).toBe(false);
  });

  test("says a service's endpoints when they change, and now and then again", () => {
    const meters = createWorkerMeters();
    const counts = { healthy: 3, unhealthy: 0, ejected: 0 };
    meters.endpoints("orders", counts);
    const told = Array.from({ length: 130 }, () => meters.delta().endpoints.length);
    expect(told[0]).toBe(1);
    expect(told.slice(1, 60).some((length) => length > 0)).toBe(false);
    expect(told.slice(60).filter((length) => length === 1).length).toBe(2);
    meters.endpoints("orders", null);
    expect(meters.delta().endpoints).toEqual([["orders", null]]);
    expect(meters.delta().endpoints).toEqual([]);
  });

  test("gives a filter's code buckets of microseconds, by version", () => {
    const { meters, text } = createTestNode();
    meters.filter("headers", "v1", 0.0015);
    meters.filter("headers", "v2", 0.2);
    meters.filter("headers", "v1", 0.0015);
    const samples = samplesOf(text());
    const bucket = (version: string, bound: string) =>
      samples.get(
        `clearway_filter_duration_seconds_bucket{filter="headers",version="${version}",le="${bound}"}`,
      );
    expect([bucket("v1", "0.000001"), bucket("v1", "0.0000025")]).toEqual([0, 2]);
    expect([bucket("v2", "0.0001"), bucket("v2", "0.00025")]).toEqual([0, 1]);
  });

  test("sums calls, errors and time of each filter by the version of its code, and forgets code that is gone", () => {
    const { aggregator, meters, flush, text } = createTestNode();
    const labels = { filter: "./tenant.ts", version: "b" };
    for (const version of ["a", "b"]) meters.filter("./tenant.ts", version, 0.25);
    meters.filter("./tenant.ts", "b", 0.5);
    meters.count("clearway_filter_errors_total", "as filters say it", labels);
    flush(1);
    meters.filter("./tenant.ts", "b", 0.25);
    flush(1);
    const b = { ...labels, calls: 3, errors: 1, totalMs: 1 };
    expect(aggregator.filters()).toEqual([
      { filter: "./tenant.ts", version: "a", calls: 1, errors: 0, totalMs: 0.25 },
      b,
    ]);
    aggregator.forgetFilter("./tenant.ts", "a");
    expect(aggregator.filters()).toEqual([b]);
    expect(text()).not.toContain('version="a"');
    expect(text()).toContain('clearway_filter_errors_total{filter="./tenant.ts",version="b"} 1\n');
  });

  test("shows every metric of a node before the first request", () => {
    const { text } = createTestNode();
    const shown = text();
    for (const name of [
      "clearway_requests_total counter",
      "clearway_request_duration_seconds histogram",
      "clearway_upstream_requests_total counter",
      "clearway_upstream_duration_seconds histogram",
      "clearway_connections gauge",
      "clearway_filter_duration_seconds histogram",
      "clearway_filter_errors_total counter",
      "clearway_plugin_rollbacks_total counter",
      "clearway_reloads_total counter",
      "clearway_build_info gauge",
      "process_resident_memory_bytes gauge",
      "process_cpu_seconds_total counter",
      "process_start_time_seconds gauge",
    ]) {
      expect(shown).toContain(`# TYPE ${name}\n`);
    }
  });

  test("adds up deltas of several workers", () => {
    const aggregator = createAggregator();
    for (const workerId of [1, 2]) {
      const meters = createWorkerMeters();
      const route = meters.route("web", "orders");
      // The second worker meets the series in another order, so its ids differ.
      if (workerId === 2) meters.route("web", "other").record("a", "GET", 200, "", 1);
      for (let round = 0; round < 3; round++) {
        route.record("orders", "GET", 200, "", 1);
        aggregator.add(workerId, meters.delta());
      }
    }
    expect(samplesOf(aggregator.render(noFacts)).get(zero)).toBe(6);
  });

  test("keeps the counts of a worker that is gone, and drops its connections", () => {
    const { aggregator, meters, flush } = createTestNode();
    meters.route("web", "orders").record("orders", "GET", 200, "", 1);
    meters.connections("downstream", 1);
    meters.connections("downstream", 1);
    meters.connections("downstream", -1);
    flush();
    const open = () => samplesOf(aggregator.render(noFacts)).get('clearway_connections{side="downstream"}');
    expect(open()).toBe(1);
    aggregator.forget(1);
    expect(open()).toBe(0);
    expect(samplesOf(aggregator.render(noFacts)).get(zero)).toBe(1);
  });

  test("starts afresh with a worker that takes the number of one that is gone", () => {
    const aggregator = createAggregator();
    for (const route of ["first", "second"]) {
      const meters = createWorkerMeters();
      meters.route("web", route).record("", "GET", 200, "", 1);
      aggregator.add(1, meters.delta());
      aggregator.forget(1);
    }
    expect(aggregator.summary().map(({ route, requests }) => [route, requests])).toEqual([
      ["first", 1],
      ["second", 1],
    ]);
  });

  test("leaves out of a delta what did not change, and names a series once", () => {
    const meters = createWorkerMeters();
    const route = meters.route("web", "orders");
    route.record("orders", "GET", 200, "", 1);
    expect(meters.delta().series).toHaveLength(2);
    expect(meters.delta()).toMatchObject({ series: [], counters: [], histograms: [] });
    route.record("orders", "GET", 200, "", 1);
    const third = meters.delta();
    expect(third.series).toEqual([]);
    expect(third.counters.length).toBe(2);
    expect(third.histograms.length).toBe(1);
  });

  test("a delta that got lost does not cost its series for good", () => {
    const aggregator = createAggregator();
    const meters = createWorkerMeters();
    const route = meters.route("web", "orders");
    for (let second = 0; second < 61; second++) {
      route.record("orders", "GET", 200, "", 1);
      const delta = meters.delta();
      if (second > 0) aggregator.add(1, delta);
    }
    route.record("orders", "GET", 200, "", 1);
    aggregator.add(1, meters.delta());
    expect(samplesOf(aggregator.render(noFacts)).get(zero)).toBe(2);
  });

  test("counts reloads by their result", () => {
    const aggregator = createAggregator();
    aggregator.reloadApplied({ tookMs: 2_000, held: { longestMs: 4 } });
    aggregator.reloadRefused();
    aggregator.reloadApplied({ tookMs: 40, held: { longestMs: 0.2 } });
    const samples = samplesOf(aggregator.render(noFacts));
    expect(samples.get('clearway_reloads_total{result="applied"}')).toBe(2);
    expect(samples.get('clearway_reloads_total{result="refused"}')).toBe(1);
    expect(samples.get('clearway_reload_duration_seconds_bucket{le="0.1"}')).toBe(1);
    expect(samples.get("clearway_reload_duration_seconds_count")).toBe(2);
    expect(samples.get('clearway_reload_hold_seconds_bucket{le="0.001"}')).toBe(1);
    expect(samples.get("clearway_reload_hold_seconds_count")).toBe(2);
  });

  test("counts workers that died, and the connections that this cost", () => {
    const aggregator = createAggregator();
    aggregator.workerDied(37);
    aggregator.workerDied(0);
    const samples = samplesOf(aggregator.render(noFacts));
    expect(samples.get("clearway_worker_deaths_total")).toBe(2);
    expect(samples.get("clearway_worker_lost_connections_total")).toBe(37);
  });

  test("says what the caller knows of the processes", () => {
    const processes = [
      { name: "worker-1", residentBytes: 5e7, cpuSeconds: 1.5, startEpochMs: 1_700_000_000_500 },
    ];
    const samples = samplesOf(createAggregator().render({ version: "1.2.3", processes, gauges: [] }));
    expect(samples.get('clearway_build_info{version="1.2.3"}')).toBe(1);
    expect(samples.get('process_resident_memory_bytes{process="worker-1"}')).toBe(5e7);
    expect(samples.get('process_cpu_seconds_total{process="worker-1"}')).toBe(1.5);
    expect(samples.get('process_start_time_seconds{process="worker-1"}')).toBe(1_700_000_000.5);
  });

  test("summary gives each route its requests, errors and percentiles, over all its services", () => {
    const { aggregator, meters, flush } = createTestNode();
    const route = meters.route("web", "orders");
    for (let at = 0; at < 98; at++) route.record("orders", "GET", 200, "", 10);
    route.record("orders-canary", "GET", 404, "", 10);
    route.record("orders-canary", "GET", 502, "upstream-reset", 1000);
    flush();
    const [total, ...rest] = aggregator.summary();
    expect(rest).toEqual([]);
    expect(total).toMatchObject({ listener: "web", route: "orders", requests: 100, errors: 1 });
    expect(Math.abs(total!.p50Ms! - 10) / 10).toBeLessThan(0.016);
    expect(Math.abs(total!.p99Ms! - 10) / 10).toBeLessThan(0.016);
  });
});
