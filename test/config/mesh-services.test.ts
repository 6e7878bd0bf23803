import { expect, test } from "bun:test";
import { usedServicesMax } from "../../src/config/limits.ts";
import { load } from "./fixture.ts";

/** So many services of the mesh, one on a line from the fifth on, and one that is elsewhere. */
function config(count: number): string {
  const names = Array.from({ length: count }, (_, index) => `  s${index + 1}: {}\n`);
  return `listeners: { web: { bind: ":8080", routes: [{ to: s1 }] } }
mesh: { coordinator: "https://10.0.0.9:4190", service: gateway }
services:
  taxes: { endpoints: ["10.0.0.1:80"] }
${names.join("")}`;
}

test("a config may name as many services of its mesh as a node hears of, and others besides", async () => {
  const { snapshot, problems } = await load({ "clearway.yaml": config(usedServicesMax) });
  expect(problems).toEqual([]);
  expect(snapshot?.services).toHaveLength(usedServicesMax + 1);
});

test("one service more is a problem at its line, and not one that nobody hears of", async () => {
  const { snapshot, problems } = await load({ "clearway.yaml": config(usedServicesMax + 2) });
  expect(snapshot).toBeNull();
  expect(problems).toMatchObject([
    {
      ...{ file: "clearway.yaml", line: 4 + usedServicesMax + 1, column: 3, path: "services.s1000" },
      message: "cannot use s1000 too: a node uses at most 999 services of its mesh, and these are 1001",
      hints: ["divide the routes among several gateways, or say where services are: `endpoints` or `dns`"],
    },
  ]);
});
