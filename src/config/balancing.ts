/** How a service's endpoints share its requests: read from the config, and written back in its grammar. */
import type { LoadBalancing, OutlierDetectionConfig, RequestKey, ServiceConfig } from "../snapshot.ts";
import { formatDuration, formatPercent } from "../units.ts";
import { checkFields } from "./check.ts";
import { outlierDetectionGrammar } from "./grammar/balancing.ts";
import { childOf, type Part, spotOf } from "./located.ts";
import type { Report } from "./problem.ts";

/** Null without one. */
export function readOutlierDetection(service: Part, report: Report): OutlierDetectionConfig | null | "wrong" {
  const part = childOf(service, "outlierDetection");
  if (part === null) return null;
  const { some, complete } = checkFields(outlierDetectionGrammar, part, { report });
  if (!complete) return "wrong";
  const { consecutiveErrors, ejection, maxEjection, maxEjected } = some as Required<typeof some>;
  if (ejection > maxEjection) {
    const spot = childOf(part, "maxEjection") ?? childOf(part, "ejection") ?? part;
    const message = `cannot use an ejection of ${formatDuration(ejection)}: wanted at most maxEjection, which is ${formatDuration(maxEjection)}`;
    report.add(spotOf(spot), spot.path, { message });
    return "wrong";
  }
  return {
    consecutiveErrors,
    ejectionMs: ejection,
    ejectionMaxMs: maxEjection,
    ejectedShareMax: maxEjected,
  };
}

export function writtenBalancing(service: ServiceConfig): object {
  const { loadBalancing, slowStartMs, panicShare, outlierDetection } = service;
  return {
    loadBalancing: writtenPolicy(loadBalancing),
    slowStart: formatDuration(slowStartMs),
    panic: formatPercent(panicShare),
    ...(outlierDetection === null ? {} : { outlierDetection: writtenOutlierDetection(outlierDetection) }),
  };
}

function writtenPolicy(loadBalancing: LoadBalancing): string | object {
  const { policy } = loadBalancing;
  return policy === "ring-hash" ? { [policy]: { key: writtenKey(loadBalancing.key) } } : policy;
}

function writtenKey(key: RequestKey): string {
  return "name" in key ? `${key.by}:${key.name}` : key.by;
}

function writtenOutlierDetection(detection: OutlierDetectionConfig): object {
  return {
    consecutiveErrors: detection.consecutiveErrors,
    ejection: formatDuration(detection.ejectionMs),
    maxEjection: formatDuration(detection.ejectionMaxMs),
    maxEjected: formatPercent(detection.ejectedShareMax),
  };
}
