/** What holds of every document, whichever of its keys are used. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { filters } from "../../../src/filters/index.ts";
import type { CallerRules, MeshConfig } from "../../../src/mesh.ts";
import { loadDocument } from "./loading.ts";

/** In the order in which they may stand. */
const downstream = ["request-id", { concurrency: { limit: 5 } }];
const upstream = [{ cache: { ttl: "1s" } }];
const repeating = [{ hedge: {} }];
const list = fc
  .tuple(fc.subarray(downstream), fc.subarray(upstream), fc.subarray(repeating))
  .map((parts) => parts.flat());

const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
const names = ["a", "b", "c"] as const;
const calls = {
  retry: maybe(fc.record({ attempts: fc.integer({ min: 1, max: 3 }) })),
  mirror: maybe(fc.record({ to: fc.constantFrom(...names), percent: fc.integer({ min: 0, max: 100 }) })),
  fault: maybe(fc.constant({ delay: { for: "1ms" } })),
  split: maybe(fc.constantFrom({ v1: 1 }, { v1: 90, v2: 10 })),
  timeout: maybe(fc.constantFrom("1s", "2s")),
};
const route = fc.record({
  ...calls,
  filters: list,
  match: fc.constantFrom(
    { path: "/a" },
    { path: "/b/*" },
    { method: "GET" },
    { headers: { "x-a": "1" } },
    {},
  ),
});
const service = fc.record({
  ...calls,
  outbound: list,
  inbound: list,
  allow: maybe(fc.subarray([{ from: "a" }, { from: "*", path: "/a" }, { from: "anonymous", method: "GET" }])),
  routes: fc.uniqueArray(route, { maxLength: 4, selector: ({ match }) => JSON.stringify(match) }),
});
const document = fc.record({ a: service, b: service, c: service });

async function configOf(services: object): Promise<MeshConfig> {
  const text = stringify(
    { trustDomain: "a.example", services: JSON.parse(JSON.stringify(services)) },
    { aliasDuplicateObjects: false },
  );
  const { document: read, problems } = await loadDocument({ "mesh.yaml": text });
  if (read === null) throw new Error(problems.map(({ path, message }) => `${path}: ${message}`).join("\n"));
  return read.config;
}

function ranks({ routes }: CallerRules): number[][] {
  const rank = (name: string) => {
    const { middleware, repeats } = filters.get(name)!;
    return middleware === undefined ? (repeats ? 2 : 1) : 0;
  };
  return routes.map((one) => one.filters.map(({ name }) => rank(name)));
}

test("whatever a document says, its filters stand in an order that a route may have, the retry last", async () => {
  await fc.assert(
    fc.asyncProperty(document, async (services) => {
      for (const { name, caller, callee } of (await configOf(services)).services) {
        for (const order of ranks(caller)) expect(order).toEqual(order.toSorted());
        const written = services[name as keyof typeof services];
        for (const one of caller.routes) {
          const found = one.filters.map((entry) => entry.name);
          expect(found.slice(0, -1)).not.toContain("retry");
        }
        expect(callee!.inbound.map((entry) => entry.name)).toEqual([
          "policy",
          ...written.inbound.map((entry) => (typeof entry === "string" ? entry : Object.keys(entry)[0]!)),
        ]);
      }
    }),
    { numRuns: 60 },
  );
});

test("whatever a document says, one route takes what is left, and no two have one name", async () => {
  await fc.assert(
    fc.asyncProperty(document, async (services) => {
      for (const { caller } of (await configOf(services)).services) {
        const all = caller.routes.filter(
          ({ match: { path, methods, headers, query } }) =>
            path === null && methods.length + headers.length + query.length === 0,
        );
        expect(all).toHaveLength(1);
        const routeNames = caller.routes.map(({ name }) => name);
        expect(new Set(routeNames).size).toBe(routeNames.length);
      }
    }),
    { numRuns: 60 },
  );
});
