/** What the node finds out about services by itself: read from the config, and written back in its grammar. */
import type { DnsConfig, HealthCheckConfig, ResolverConfig } from "../snapshot.ts";
import { formatDuration } from "../units.ts";
import { formatAddress } from "./address.ts";
import { check, checkFields } from "./check.ts";
import { dnsDefaults, dnsGrammar, healthCheckGrammar, resolverGrammar } from "./grammar/discovery.ts";
import { childOf, emptyPart, type Part, spotOf } from "./located.ts";
import type { Report } from "./problem.ts";

/** Null when it is wrong. */
export function readDns(part: Part, report: Report): DnsConfig | null {
  const checked = check(dnsGrammar, part, report);
  if (!checked.ok) return null;
  const { name, port, refreshMin, refreshMax } = { ...dnsDefaults.parse({}), ...checked.value };
  if (refreshMin > refreshMax) {
    const spot = childOf(part, "refreshMin") ?? childOf(part, "refreshMax") ?? part;
    const message = `cannot use ${formatDuration(refreshMin)} as refreshMin: wanted at most refreshMax, which is ${formatDuration(refreshMax)}`;
    report.add(spotOf(spot), spot.path, { message });
    return null;
  }
  const records = port === undefined ? "srv" : "address";
  return { name, port: port ?? null, records, refreshMinMs: refreshMin, refreshMaxMs: refreshMax };
}

/** Null without one. */
export function readHealthCheck(service: Part, report: Report): HealthCheckConfig | null | "wrong" {
  const part = childOf(service, "healthCheck");
  if (part === null) return null;
  const { some, complete } = checkFields(healthCheckGrammar, part, { report });
  if (!complete) return "wrong";
  const { path = null, host = null, interval, timeout, healthy, unhealthy } = some as Required<typeof some>;
  return { path, host, intervalMs: interval, timeoutMs: timeout, healthy, unhealthy };
}

/** Null when it is wrong. */
export function readResolver(root: Part, report: Report): ResolverConfig | null {
  const part = childOf(root, "resolver") ?? emptyPart(root);
  const { some, complete } = checkFields(resolverGrammar, part, { report });
  if (!complete) return null;
  const { servers, timeout } = some as Required<typeof some>;
  return { servers, timeoutMs: timeout };
}

export function writtenDns({ name, port, refreshMinMs, refreshMaxMs }: DnsConfig): object {
  const refresh = { refreshMin: formatDuration(refreshMinMs), refreshMax: formatDuration(refreshMaxMs) };
  return port === null ? { name, ...refresh } : { name, port, ...refresh };
}

export function writtenHealthCheck(checked: HealthCheckConfig): object {
  const { path, host, intervalMs, timeoutMs, healthy, unhealthy } = checked;
  return {
    ...(path === null ? {} : { path }),
    ...(host === null ? {} : { host }),
    interval: formatDuration(intervalMs),
    timeout: formatDuration(timeoutMs),
    healthy,
    unhealthy,
  };
}

export function writtenResolver({ servers, timeoutMs }: ResolverConfig): object {
  return { servers: servers.map(formatAddress), timeout: formatDuration(timeoutMs) };
}
