import { expect, test } from "bun:test";
import { defaultLimits } from "../../src/config/limits.ts";
import { type SnapshotSources, snapshotView } from "../../src/node/snapshot-view.ts";
import type { RouteConfig } from "../../src/snapshot.ts";
import { snapshot } from "./fake-worker.ts";
import { filterEntry, route } from "./mesh/nouns.ts";

function routesShown(routes: readonly RouteConfig[]): object[] {
  const listener = {
    name: "web",
    bind: { host: "127.0.0.1", port: 80 },
    protocol: "http",
    limits: defaultLimits,
  };
  const live = {
    ...snapshot(1),
    plugins: [],
    services: [],
    listeners: [{ ...listener, filters: [], routes }],
  };
  const sources = {
    ...{ node: "a", programVersion: "1", file: "clearway.yaml", membership: null, resolved: {}, admin: null },
    ...{ live, workers: [], totals: [], filterTotals: [], rollbacks: [] },
    knowledge: () => ({ endpoints: [], discovery: null, health: new Map() }),
  };
  const view = snapshotView(sources as unknown as SnapshotSources) as {
    listeners: readonly { routes: object[] }[];
  };
  return view.listeners[0]!.routes;
}

test("snapshotView shows by which rules a service's share goes, and no option of a filter", () => {
  const inner = route("payments", { name: "/pay", filters: [filterEntry("jwt", { secret: "hidden" })] });
  const to = [{ service: "payments", version: null, weight: 3, routes: [inner] }];
  const action: RouteConfig["action"] = { kind: "forward", to, rewrite: { path: null, host: null } };
  const shown = routesShown([route("payments", { name: "/pay", action })]);
  expect(shown).toMatchObject([
    {
      ...{ name: "/pay", services: ["payments"], requests: 0 },
      to: [
        {
          ...{ service: "payments", weight: 3 },
          routes: [{ name: "/pay", place: "mesh.yaml:3", filters: ["jwt"], to: [{ service: "payments" }] }],
        },
      ],
    },
  ]);
  expect(JSON.stringify(shown)).not.toContain("hidden");
});
