/** Rules of a mesh document that a node cannot use: it goes on with the former ones, and says why. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PluginCode } from "../../src/filter-lookup.ts";
import { systemFiles } from "../../src/host/files/node.ts";
import { bunUserCode } from "../../src/host/modules/bun-code.ts";
import { pluginImports } from "../../src/plugin-imports.ts";
import { filterText } from "../check-with-filters.ts";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { filterEntry, meshService, route, serviceConfig } from "../node/mesh/nouns.ts";
import { until } from "../program.ts";
import { type App, startApp } from "./apps.ts";
import { startCalls } from "./calls.ts";
import { ready, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

let coordinator: HttpsCoordinator;
let app: App;
let storefront: StartedSidecar;
const sidecars: StartedSidecar[] = [];
const folder = mkdtempSync(join(tmpdir(), "clearway-refused-"));
const name = "./own.ts";

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  for (const service of ["storefront", "payments"]) coordinator.rules.set(service, meshService(service));
  await coordinator.start();
  app = await startApp("payments");
  const payments = await begin("payments", app.port);
  await Promise.all([ready(payments), well(payments)]);
  storefront = await begin("storefront", 9);
  await ready(storefront);
});

afterAll(async () => {
  await Promise.all(sidecars.map(({ running }) => running.stop()));
  await Promise.all([coordinator.stop(), app.close()]);
});

async function begin(service: string, port: number, state?: string): Promise<StartedSidecar> {
  const sidecar = await startSidecar({
    ...{ service, app: port, coordinator: coordinator.url, token: await coordinator.token(service) },
    ...{ upstreams: service === "storefront" ? ["payments"] : [], ...(state === undefined ? {} : { state }) },
  });
  sidecars.push(sidecar);
  return sidecar;
}

async function code(middleware: string): Promise<PluginCode> {
  const path = join(folder, "own.ts");
  writeFileSync(path, filterText({ middleware }));
  const read = await bunUserCode(pluginImports).read(path, systemFiles);
  if (!read.ok) throw new Error("the test's filter cannot be read");
  return { name, version: read.version, source: read.source };
}

/** The next version: at everybody who calls payments, this filter, with this code. */
function apply(filter: string | null, plugins: readonly PluginCode[] = []): void {
  const filters = filter === null ? [] : [filterEntry(filter)];
  const caller = { routes: [route("payments", { filters })], service: serviceConfig("payments"), others: [] };
  coordinator.version += 1;
  coordinator.rules.set("payments", meshService("payments", { caller }));
  coordinator.plugins.set("payments", plugins);
  coordinator.publish();
}

const asked = async ({ admin }: StartedSidecar, path: string) =>
  (await fetch(`http://127.0.0.1:${admin}${path}`)).text();
const call = (sidecar: StartedSidecar) => fetch(`http://${sidecar.upstreams.payments}/pay`);
const stamp = (value: string) => `() => async (c, next) => { await next(); c.header("x-own", "${value}"); }`;

const hog = "const kept = []; for (;;) kept.push(new Uint8Array(100_000).fill(7));";
const bad = [
  ["throws", '() => { throw new Error("no tenant") }', "it throws when it is created: Error: no tenant"],
  ["hoards", `() => { ${hog} }`, "creating it took more than 256 MiB of memory"],
  ["loops", "() => { for (;;) {} }", "creating it took longer than 5 s"],
] as const;

test.each(bad)(
  "a plugin that %s while it is created is refused, and no call feels it",
  async (does, middleware, why) => {
    apply(name, [await code(stamp(`before it ${does}`))]);
    const before = coordinator.version;
    const stamped = async () => (await call(storefront)).headers.get("x-own");
    await until(stamped, (value) => value === `before it ${does}`);
    const calls = startCalls(`http://${storefront.upstreams.payments}/pay`);
    apply(name, [await code(middleware)]);
    const said = `cannot use the filter "${name}": ${why}`;
    const warning = `warning: this node refuses version ${before + 1} of the mesh document: ${said}; version ${before} holds\n`;
    await until(
      () => asked(storefront, "/readyz"),
      (text) => text.includes(warning),
    );
    const problem = { file: "mesh.yaml", line: 3, message: said };
    expect(JSON.parse(await asked(storefront, "/problems")).problems).toMatchObject([problem]);
    expect(await stamped()).toBe(`before it ${does}`);
    await until(storefront.running.output, (text) => text.includes(why));
    apply(name, [await code(stamp(`after it ${does}`))]);
    await until(stamped, (value) => value === `after it ${does}`);
    await calls.stop();
    expect(calls.failures()).toEqual([]);
    const versions = () => coordinator.leases.map(({ version }) => version);
    await until(versions, (told) => told.includes(before + 2));
    expect(versions()).not.toContain(before + 1);
    expect(await asked(storefront, "/readyz")).not.toContain("refuses");
    expect(JSON.parse(await asked(storefront, "/problems"))).toEqual({ problems: [] });
  },
  55_000,
);

test("a node whose program lacks a filter starts with the rules of its last run, and one without any says why", async () => {
  const file = join(storefront.state, "mesh.json");
  const kept = () => (existsSync(file) ? readFileSync(file, "utf8") : "");
  apply(name, [await code(stamp("kept"))]);
  const version = coordinator.version;
  await until(kept, (text) => text.includes(`"version":${version},`));
  apply("from-the-future");
  await until(
    () => asked(storefront, "/readyz"),
    (text) => text.includes("refuses"),
  );
  await storefront.running.stop();
  expect(kept()).not.toContain("from-the-future");
  const [again, other] = await Promise.all([
    begin("storefront", 9, storefront.state),
    begin("storefront", 9),
  ]);
  await Promise.all([ready(again), ready(other)]);
  const why = 'cannot use the filter "from-the-future": this program has none of that name';
  await until(
    () => asked(again, "/readyz"),
    (text) => text.includes(why),
  );
  const answer = await call(again);
  expect([answer.status, answer.headers.get("x-own")]).toEqual([200, "kept"]);
  const refused = await call(other);
  expect([refused.status, refused.headers.get("x-clearway-reason")]).toEqual([503, "service-unknown"]);
  expect(await refused.text()).toContain(why);
}, 55_000);
