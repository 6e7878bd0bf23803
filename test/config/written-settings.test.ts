import { expect, test } from "bun:test";
import { load } from "./fixture.ts";

test("loadConfig notes what is written of what a mesh document may say too", async () => {
  const { snapshot } = await load({
    "clearway.yaml": `
mesh: { coordinator: https://127.0.0.1:1, service: edge }
listeners:
  web:
    bind: ":80"
    routes: [{ match: { path: /a }, to: payments, timeout: 15s }, { to: payments }]
services: { payments: { loadBalancing: least-latency, limits: { pending: 1024 } }, accounts: {} }
`,
  });
  expect(snapshot!.services.map(({ written }) => written)).toEqual([["loadBalancing", "limits.pending"], []]);
  expect(snapshot!.listeners[0]!.routes.map(({ timeoutSource }) => timeoutSource)).toEqual([
    "written",
    undefined,
  ]);
});
