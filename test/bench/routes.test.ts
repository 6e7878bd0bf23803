import { expect, test } from "bun:test";
import { busyRoutes, manyRoutes, pathOf, routeLines, serviceFiles } from "../../bench/many-routes.ts";
import { Matching, matchingCases } from "../../bench/matching.ts";
import { type LiveRow, type RoutesRow, report } from "../../bench/workloads/routes-report.ts";

const live: Omit<LiveRow, "routes" | "save" | "liveMs" | "heldTotalMs"> = {
  kind: "live",
  services: 10,
  heldMs: 4,
  failed: 0,
  latencyMsMax: 9,
};

function tableOf(rows: readonly RoutesRow[], title: string): readonly (readonly string[])[] {
  return report(rows).tables.find((table) => table.title.startsWith(title))!.rows;
}

test("manyRoutes has as many routes and services as it says, and a route for each request", () => {
  for (const routes of [10, 100, 1_000]) {
    const size = manyRoutes(routes);
    const text = routeLines(size);
    expect(text.split("\n").filter((line) => line.startsWith("      - match:"))).toHaveLength(routes);
    const names = [...serviceFiles(size, 9_000).values()].join("").match(/^ {2}service-\d+:$/gm)!;
    expect(new Set(names).size).toBe(size.services);
    const [first, last] = busyRoutes(size);
    for (const index of [first, last]) expect(text).toContain(pathOf(index).replace("/item", "/"));
  }
});

test("Matching finds a route for every request of every case", () => {
  for (const kind of matchingCases) {
    for (const order of ["one", "in turn"] as const) {
      expect(new Matching(kind, 100, order).measure(3_000)).toBeNumber();
    }
  }
});

test("routes holds the first save apart, and judges by the slowest of all", () => {
  const rows: RoutesRow[] = [3_900, 1_000, 1_200, 1_100].map((liveMs, index) => ({
    ...live,
    routes: 10_000,
    save: index + 1,
    liveMs,
    heldTotalMs: index === 2 ? 101 : 60,
  }));
  expect(tableOf(rows, "Many routes: from the save").map((row) => row.slice(2, 9))).toEqual([
    ["3,900", "1,100", "3,900", "within 4000", "4", "101", "over 100"],
  ]);
});

test("routes compares matching round by round", () => {
  const rows: RoutesRow[] = [1, 2, 3].flatMap((round) =>
    [10, 10_000].map((routes) => ({
      kind: "matching" as const,
      case: "host" as const,
      order: "one" as const,
      round,
      routes,
      nanoseconds: 20 * round * (routes === 10 ? 1 : 1.1),
    })),
  );
  expect(tableOf(rows, "Matching")).toEqual([
    ["host", "one", "40.0", "44.0", "1.10", "1.10..1.10", "within 1.2"],
  ]);
});

test("routes names failed requests", () => {
  const row: RoutesRow = { ...live, routes: 10, save: 1, liveMs: 1, heldTotalMs: 1, failed: 2 };
  expect(report([row]).problems).toEqual(["routes: 10 routes: 2 requests failed"]);
});
