/** The built program, as far as the way in which it is built can break what its sources do. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../free-ports.ts";
import { root, start, until } from "../program.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-binary-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the built program makes certificates: its chunks once loaded the library before what that wants", async () => {
  const program = join(folder, "clearway");
  const built = Bun.spawnSync([process.execPath, "build/binary.ts", program], { cwd: root });
  expect(built.stderr.toString()).toBe("");
  writeFileSync(join(folder, "mesh.yaml"), "trustDomain: store.example\nservices: { payments: {} }\n");
  const bind = `127.0.0.1:${await freePort()}`;
  const command = [program, "coordinator", "-c", "mesh.yaml", "--bind", bind, "--store", "memory"];
  const running = start(command, { folder });
  try {
    const ended = running.ended.then((code) => `exit code ${code}`);
    await Promise.race([until(running.output, (text) => text.includes("coordinates store.example")), ended]);
    expect(running.output()).toContain(`coordinates store.example on https://${bind}`);
  } finally {
    await running.stop();
  }
});
