/** Test doubles for telemetry: a node of several workers, and a reader of the text format. */
import { createAggregator, createWorkerMeters, type NodeFacts } from "../../src/telemetry/index.ts";

export const noFacts: NodeFacts = { version: "1.2.3", processes: [], gauges: [] };

/** A worker whose measurements go to an aggregator as they would in a node: through JSON. */
export function createTestNode(options?: { readonly seriesMax: number }) {
  const aggregator = createAggregator(options);
  const meters = createWorkerMeters(options);
  const flush = (workerId = 1) => aggregator.add(workerId, JSON.parse(JSON.stringify(meters.delta())));
  const text = () => {
    flush();
    return aggregator.render(noFacts);
  };
  return { aggregator, meters, flush, text };
}

/** The samples of a scrape: everything before the last space, and the number after it. */
export function samplesOf(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(" ")),
      Number(line.slice(line.lastIndexOf(" ") + 1)),
    ]),
  );
}
