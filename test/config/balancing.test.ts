import { expect, test } from "bun:test";
import type { ServiceConfig } from "../../src/snapshot.ts";
import { load } from "./fixture.ts";

async function serviceOf(fields: string): Promise<ServiceConfig | undefined> {
  const service = `{ endpoints: ["10.0.0.1:80"]${fields === "" ? "" : `, ${fields}`} }`;
  const yaml = `listeners: { web: { bind: ":8080" } }\nservices: { orders: ${service} }\n`;
  const { snapshot, problems } = await load({ "clearway.yaml": yaml });
  expect(problems).toEqual([]);
  return snapshot?.services[0];
}

test("loadConfig balances by latency, panics below a half and ejects nobody unless told otherwise", async () => {
  expect(await serviceOf("")).toMatchObject({
    loadBalancing: { policy: "least-latency" },
    slowStartMs: 0,
    panicShare: 0.5,
    outlierDetection: null,
  });
});

test("loadConfig reads slow start, panic and outlier detection", async () => {
  const detection = "outlierDetection: { consecutiveErrors: 7, ejection: 10s, maxEjected: 30% }";
  expect(await serviceOf(`slowStart: 20s, panic: 12.5%, ${detection}`)).toMatchObject({
    slowStartMs: 20_000,
    panicShare: 0.125,
    outlierDetection: {
      consecutiveErrors: 7,
      ejectionMs: 10_000,
      ejectionMaxMs: 300_000,
      ejectedShareMax: 0.3,
    },
  });
});

test.each([
  ["ip", { by: "ip" }],
  ["route", { by: "route" }],
  ["identity", { by: "identity" }],
  ["header:X-Tenant", { by: "header", name: "x-tenant" }],
  ["cookie:Session", { by: "cookie", name: "Session" }],
  ["query:user:Name", { by: "query", name: "user:Name" }],
])("loadConfig reads the key %s of ring-hash", async (key, wanted) => {
  const service = await serviceOf(`loadBalancing: { ring-hash: { key: "${key}" } }`);
  expect(service?.loadBalancing).toEqual({
    policy: "ring-hash",
    key: wanted,
  } as ServiceConfig["loadBalancing"]);
});
