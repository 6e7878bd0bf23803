import { describe, expect, test } from "bun:test";
import { mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPrivateFolder } from "../../src/host/files/private-folder.ts";
import { until } from "../program.ts";

const newPath = () => join(mkdtempSync(join(tmpdir(), "clearway-state-")), "deeper/payments");
const source = join(import.meta.dirname, "../../src/host/files/private-folder.ts");

describe("openPrivateFolder", () => {
  test("makes a folder for this user alone, and files that no other user reads", async () => {
    const path = newPath();
    const folder = (await openPrivateFolder(path))!;
    expect(await folder.read("key.pem")).toBeNull();
    await folder.replace("key.pem", "first");
    await folder.replace("key.pem", "second");
    expect(await folder.read("key.pem")).toBe("second");
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(join(path, "key.pem")).mode & 0o777).toBe(0o600);
    folder.release();
  });

  test("is nobody else's until it is released", async () => {
    const path = newPath();
    const folder = await openPrivateFolder(path);
    expect(await openPrivateFolder(path)).toBeNull();
    folder?.release();
    const next = await openPrivateFolder(path);
    expect(next).not.toBeNull();
    next?.release();
  });

  test("a killed process lets go of it, also while a child that it started lives on", async () => {
    const path = newPath();
    const program = `
      const { openPrivateFolder } = await import(${JSON.stringify(source)});
      if ((await openPrivateFolder(${JSON.stringify(path)})) === null) throw new Error("not free");
      const child = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore"] });
      console.log(child.pid);
      setInterval(() => {}, 1000);
    `;
    const holder = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
    const { value } = await holder.stdout.getReader().read();
    const childPid = Number(Buffer.from(value!).toString());
    try {
      expect(await openPrivateFolder(path)).toBeNull();
      holder.kill("SIGKILL");
      const folder = await until(
        () => openPrivateFolder(path),
        (opened) => opened !== null,
      );
      folder?.release();
    } finally {
      process.kill(childPid, "SIGKILL");
    }
  });

  test("says by its code what the system does not allow", async () => {
    await expect(openPrivateFolder("/proc/nothing/here")).rejects.toMatchObject({ code: "ENOENT" });
  });
});
