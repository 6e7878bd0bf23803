/** What was measured, on its way out. Workers have `createWorkerMeters`, the supervisor `createAggregator`. */
export {
  type Aggregator,
  createAggregator,
  type NodeFacts,
  type ProcessFacts,
  type RouteTotals,
} from "./aggregator.ts";
export type { FilterTotals } from "./filter-totals.ts";
export { type Gauge, TEXT_FORMAT_TYPE } from "./text-format.ts";
export { createWorkerMeters, type MeterDelta, type WorkerMeters } from "./worker-meters.ts";
