import { expect, test } from "bun:test";
import { createAggregator } from "../../src/telemetry/index.ts";
import { GAUGE_SAMPLES_MAX, gaugeText } from "../../src/telemetry/text-format.ts";
import { noFacts, samplesOf } from "./meters.ts";

const name = "clearway_endpoint_healthy";

test("Aggregator shows the gauges that it is given, and counts lookups and checks", () => {
  const aggregator = createAggregator();
  aggregator.lookedUp("orders", "found");
  aggregator.lookedUp("orders", "found");
  aggregator.checked("orders", "failed");
  const samples = [{ labels: ["orders", '[::1]:80"'], value: 0 }];
  const gauges = [{ name, help: "1 while it is well.", labelNames: ["service", "endpoint"], samples }];
  const text = aggregator.render({ ...noFacts, gauges });
  const shown = samplesOf(text);
  expect(shown.get('clearway_dns_lookups_total{service="orders",result="found"}')).toBe(2);
  expect(shown.get('clearway_health_checks_total{service="orders",result="failed"}')).toBe(1);
  expect(text).toContain(`# HELP ${name} 1 while it is well.\n# TYPE ${name} gauge\n`);
  expect(text).toContain(`${name}{service="orders",endpoint="[::1]:80\\""} 0\n`);
});

test("gaugeText shows no more samples than its bound", () => {
  const samples = Array.from({ length: GAUGE_SAMPLES_MAX + 1 }, (_, at) => ({
    labels: [`e${at}`],
    value: 1,
  }));
  const lines = gaugeText({ name, help: "", labelNames: ["endpoint"], samples })
    .trimEnd()
    .split("\n");
  expect(lines.length).toBe(2 + GAUGE_SAMPLES_MAX);
});
