import { describe, expect, test } from "bun:test";
import { createTestNode, noFacts, samplesOf } from "./meters.ts";

function busyNode() {
  const node = createTestNode();
  const route = node.meters.route("web", 'GET /a "b" \\ c\nd');
  route.record("orders", "GET", 200, "", 12);
  route.record("orders", "BREW", 503, "no-healthy-endpoint", 0.2);
  node.meters.endpoint("orders", "10.0.0.1:9000").record(200, 11);
  node.meters.filter("headers", "1.2.3", 0.001);
  node.meters.connections("upstream", 1);
  node.meters.count("clearway_filter_rate-limit_total", "Refused,\nby \\ key.", { "key-kind": "ip" });
  node.meters.observe("clearway_filter_jwks_seconds", "How long keys took.", 120);
  node.aggregator.reloadApplied({ tookMs: 20, held: { longestMs: 1 } });
  node.flush();
  return node;
}

describe("text format", () => {
  test("escapes label values and help", () => {
    const text = busyNode().aggregator.render(noFacts);
    expect(text).toContain('route="GET /a \\"b\\" \\\\ c\\nd"');
    expect(text).toContain("# HELP clearway_filter_rate_limit_total Refused,\\nby \\\\ key.\n");
  });

  test("makes names valid", () => {
    expect(samplesOf(busyNode().text()).get('clearway_filter_rate_limit_total{key_kind="ip"}')).toBe(1);
  });

  test("gives a name one HELP and one TYPE, and its samples follow them", () => {
    const { meters, text } = busyNode();
    meters.count("clearway_filter_rate_limit_total", "The same, said with other words.", {
      "key-kind": "ip",
    });
    const lines = text().trimEnd().split("\n");
    const types = lines.filter((line) => line.startsWith("# TYPE ")).map((line) => line.split(" ")[2]!);
    expect(new Set(types).size).toBe(types.length);
    let current = "";
    for (const line of lines) {
      if (line.startsWith("# TYPE ")) current = line.split(" ")[2]!;
      else if (!line.startsWith("#")) expect(line.startsWith(current)).toBe(true);
    }
  });

  test("has no sample twice and ends with a line end", () => {
    const text = busyNode().text();
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(samplesOf(text).size).toBe(lines.length);
    expect(text.endsWith("\n")).toBe(true);
  });

  test("a label that was not given is empty, one that the first call did not name is left out", () => {
    const { meters, text } = createTestNode();
    meters.count("clearway_filter_x_total", "help", { a: "1", b: "2" });
    meters.count("clearway_filter_x_total", "help", { b: "2", c: "3" });
    const samples = samplesOf(text());
    expect(samples.get('clearway_filter_x_total{a="1",b="2"}')).toBe(1);
    expect(samples.get('clearway_filter_x_total{a="",b="2"}')).toBe(1);
  });

  test("a name cannot be a counter and a histogram", () => {
    const { meters } = createTestNode();
    meters.count("clearway_filter_x_total", "help");
    expect(() => meters.observe("clearway_filter_x_total", "help", 1)).toThrow(
      'cannot use "clearway_filter_x_total" as a histogram: it is already a counter',
    );
  });

  const promtool = Bun.which("promtool");
  const missing = "skipped: needs promtool (apt-get install prometheus)";
  test.skipIf(promtool === null)(promtool === null ? missing : "is accepted by promtool", async () => {
    const facts = {
      name: "supervisor",
      residentBytes: 5e7,
      cpuSeconds: 0.25,
      startEpochMs: 1_700_000_000_000,
    };
    for (const node of [createTestNode(), busyNode()]) {
      const text = node.aggregator.render({ version: "1.2.3", processes: [facts], gauges: [] });
      const check = Bun.spawn([promtool!, "check", "metrics"], {
        stdin: new Blob([text]),
        stdout: "pipe",
        stderr: "pipe",
      });
      const said = (await new Response(check.stdout).text()) + (await new Response(check.stderr).text());
      expect(`${await check.exited} ${said}`).toBe("0 ");
    }
  });
});
