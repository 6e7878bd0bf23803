/** `.clearway`, where a coordinator, nodes and filters of one folder keep what is theirs, whatever services are called. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { meshServiceName } from "../../src/config/grammar/values.ts";
import { startClearway } from "../program.ts";
import { ready } from "./sidecars.ts";
import { credentialsOf, StartedMesh } from "./started-mesh.ts";

/** The first two are what the coordinator's lock and the types for an editor were once called. */
const services = ["lock", "types", "storefront"];

let mesh: StartedMesh;

beforeAll(async () => {
  mesh = await StartedMesh.start(services.map((name) => `  ${name}: {}\n`).join(""));
}, 60_000);

afterAll(() => mesh?.stop());

test("no service has a name that stands in .clearway for something else", async () => {
  const { folder } = mesh;
  const members = await Promise.all(services.map((service) => mesh.begin(service, { folder })));
  await Promise.all(members.map(({ sidecar }) => ready(sidecar)));
  // Takes away all that was in its folder before.
  const types = startClearway(["plugin", "types"], { folder });
  expect({ code: await types.ended, output: types.output() }).toMatchObject({ code: 0 });
  const identities = members.map(({ sidecar }) => credentialsOf(sidecar).identity);
  expect(identities).toEqual(services.map((service) => `spiffe://store.example/${service}`));
  const others = readdirSync(join(folder, ".clearway")).filter((name) => !services.includes(name));
  // The store, its token, the lock and the types.
  expect(others.length).toBeGreaterThanOrEqual(4);
  expect(others.filter((name) => meshServiceName.safeParse(name).success)).toEqual([]);
}, 120_000);
