/** A mesh document that is wrong in several places, given to the operator's verbs as a person gives it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { documentOf } from "../config/mesh/loading.ts";
import { startWhole, type WholeCoordinator } from "../coordinator/whole-coordinator.ts";
import { startClearway } from "../program.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-refused-documents-"));
const wrong = `trustDomain: store.example
services:
  storefront: { allow: [] }
  payments:
    allow: [{ from: storfront, method: POST }]
    timeout: 2 sec
    retrry: { attempts: 2 }
`;

const problems = `mesh.yaml:5:21  services.payments.allow[0].from
  unknown service "storfront"
  5 |     allow: [{ from: storfront, method: POST }]
    |                     ^^^^^^^^^
  did you mean \`storefront\`?

mesh.yaml:6:14  services.payments.timeout
  cannot read "2 sec": wanted a duration such as 250ms, 2s or 1m
  6 |     timeout: 2 sec
    |              ^^^^^

mesh.yaml:7:5  services.payments.retrry
  unknown key "retrry"
  7 |     retrry: { attempts: 2 }
    |     ^^^^^^
  did you mean \`retry\`?

3 problems in mesh.yaml
`;

let mesh: WholeCoordinator;

beforeAll(async () => {
  const document = await documentOf("  storefront: { allow: [] }\n  payments: {}\n");
  mesh = await startWhole({ path: join(folder, "coordinator.sqlite"), document });
  writeFileSync(join(folder, "mesh.yaml"), wrong);
});

afterAll(async () => {
  await mesh.coordinator.close();
  rmSync(folder, { recursive: true });
});

async function obey(...args: readonly string[]) {
  const environment = { CLEARWAY_TOKEN: mesh.operatorToken };
  const verb = startClearway([...args, "--coordinator", mesh.url], { folder, environment });
  return { code: await verb.ended, output: verb.output() };
}

for (const verb of ["apply", "apply --dry-run", "diff"]) {
  test(`${verb} shows all three problems of a mesh document with line, column and fix, and exits 1`, async () => {
    expect(await obey(...verb.split(" "), "-f", "mesh.yaml")).toEqual({ code: 1, output: problems });
    // Nothing of it is applied, not even what was right.
    const { versions } = await mesh.operator.get<{ versions: unknown[] }>("/v1/versions");
    expect(versions).toHaveLength(1);
    expect(mesh.coordinator.version()).toBe(1);
  });
}

test("apply -o json tells the three problems to programs, and exits 1", async () => {
  const { code, output } = await obey("apply", "-f", "mesh.yaml", "-o", "json");
  expect(code).toBe(1);
  const { problems: told } = JSON.parse(output) as { problems: readonly Record<string, unknown>[] };
  expect(told.map(({ file, line, column, path }) => [file, line, column, path])).toEqual([
    ["mesh.yaml", 5, 21, "services.payments.allow[0].from"],
    ["mesh.yaml", 6, 14, "services.payments.timeout"],
    ["mesh.yaml", 7, 5, "services.payments.retrry"],
  ]);
  expect(told[2]).toMatchObject({ message: 'unknown key "retrry"', hints: ["did you mean `retry`?"] });
});
