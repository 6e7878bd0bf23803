/** What `/snapshot` shows of filters: what each one cost, how often it failed, where it stands, which code it is. */
import { innerRoutes } from "../runtime/inner-routes.ts";
import type { FilterEntry, RouteConfig, Snapshot } from "../snapshot.ts";
import type { FilterTotals } from "../telemetry/index.ts";
import type { Rollback } from "./guard/plugin-versions.ts";

/** Places of one filter that are shown. */
const placesMax = 20;

export interface FilterSources {
  readonly live: Snapshot | null;
  readonly filterTotals: readonly FilterTotals[];
  readonly rollbacks: readonly Rollback[];
}

/** In the order in which the config names them. */
export function filtersView({ live, filterTotals, rollbacks }: FilterSources): object[] {
  const versions = new Map(live?.plugins.map(({ name, version }) => [name, version]));
  return [...usesOf(live)].map(([name, uses]) => {
    const version = versions.get(name) ?? null;
    const all = filterTotals.filter(({ filter }) => filter === name);
    const now = all.find((one) => one.version === (version ?? ""));
    const rollback = rollbacks.find(({ plugin }) => plugin === name);
    return {
      name,
      version,
      state: rollback === undefined ? "serving" : "rolled-back",
      rollback: rollback === undefined ? null : rollbackView(rollback),
      ...countsView(now),
      earlier: all
        .filter((one) => one !== now)
        .map((one) => ({ version: one.version === "" ? null : one.version, ...countsView(one) })),
      uses: uses.length,
      usedAt: uses.slice(0, placesMax),
    };
  });
}

function countsView(totals: FilterTotals | undefined): object {
  const { calls, errors, totalMs } = totals ?? { calls: 0, errors: 0, totalMs: 0 };
  const meanMs = calls === 0 ? null : rounded(totalMs / calls);
  return { calls, errors, totalMs: rounded(totalMs), meanMs };
}

function rollbackView({ cause, why, heldOff, sinceEpochMs }: Rollback): object {
  return { cause, why, heldOff, since: new Date(sinceEpochMs).toISOString() };
}

/** To nanoseconds. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1e6) / 1e6;
}

/** Listener, route and line, by the filter's name. */
function usesOf(live: Snapshot | null): Map<string, string[]> {
  const uses = new Map<string, string[]>();
  const note = (owner: string, { name, place }: FilterEntry): void => {
    const known = uses.get(name);
    const text = `${owner} (${place.file}:${place.line})`;
    if (known === undefined) uses.set(name, [text]);
    else known.push(text);
  };
  for (const listener of live?.listeners ?? []) {
    for (const entry of listener.filters) note(listener.name, entry);
    for (const { name, filters } of listener.routes.flatMap(withInner))
      for (const entry of filters) note(`${listener.name} ${name}`, entry);
  }
  return uses;
}

function withInner(route: RouteConfig): readonly RouteConfig[] {
  return [route, ...innerRoutes(route)];
}

/** The first entry of a filter in the config. */
export function firstEntry(live: Snapshot, name: string): FilterEntry | null {
  for (const { filters, routes } of live.listeners) {
    const found = [filters, ...routes.flatMap(withInner).map((route) => route.filters)]
      .flat()
      .find((entry) => entry.name === name);
    if (found !== undefined) return found;
  }
  return null;
}
