/** What is known at the moment of a scrape, beside what was counted. */
import type { ServiceConfig, Snapshot } from "../snapshot.ts";
import type { Gauge } from "../telemetry/index.ts";
import { certificateGauge } from "./certificate-watch.ts";
import type { Membership } from "./membership.ts";
import { meshGauges } from "./mesh/mesh-status.ts";
import { watchGauges } from "./service-watch/gauges.ts";
import type { ServiceKnowledge } from "./service-watch/service-watch.ts";

export function nodeGauges(
  live: Snapshot | null,
  membership: Membership | null,
  knowledge: (service: ServiceConfig) => ServiceKnowledge,
): readonly Gauge[] {
  const watched = watchGauges(live?.services ?? [], knowledge);
  return [...watched, certificateGauge(live), ...meshGauges(membership?.status() ?? null)];
}
