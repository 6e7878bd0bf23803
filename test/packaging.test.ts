/** What packaging/ and the Dockerfile promise, as far as it can be tried without a service manager and an engine. */
import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = new URL("..", import.meta.url).pathname;
const analyze = Bun.which("systemd-analyze");

const missing = "skipped: needs systemd-analyze (apt-get install systemd)";
for (const name of ["clearway.service", "clearway-coordinator.service", "clearway-sidecar@.service"]) {
  test.skipIf(analyze === null)(
    analyze === null ? missing : `${name} has no mistake that systemd knows of`,
    () => {
      const unit = readFileSync(join(root, "packaging", name), "utf8");
      // A template is looked at as one of its instances.
      const path = join(mkdtempSync(join(tmpdir(), "clearway-unit-")), name.replace("@", "@accounts"));
      writeFileSync(path, unit.replaceAll("/usr/local/bin/clearway", "/bin/true"));
      const { exitCode, stderr } = Bun.spawnSync([analyze!, "verify", path]);
      expect(stderr.toString()).toBe("");
      expect(exitCode).toBe(0);
    },
  );
}

test("The command lines of the units for a mesh are right", () => {
  for (const name of ["clearway-coordinator.service", "clearway-sidecar@.service"]) {
    const unit = readFileSync(join(root, "packaging", name), "utf8");
    const [, verb = "", options = ""] = /^ExecStart=\S+ (\S+) (.*)$/m.exec(unit) ?? [];
    const help = Bun.spawnSync([process.execPath, join(root, "src/main.ts"), verb, "--help"]);
    const known = help.stdout.toString();
    for (const [option] of options.matchAll(/(?<= |^)--?[a-z-]+/g)) expect(known).toContain(` ${option}`);
    expect(options).toContain("--");
  }
});

test("The Dockerfile's first stage builds the program from the files that it is given, and it runs a whole mesh", () => {
  const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8");
  const ignored = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
  const folder = mkdtempSync(join(tmpdir(), "clearway-image-"));
  const [stage] = dockerfile.split(/^FROM .*distroless/m);
  for (const [, copied] of stage!.matchAll(/^COPY (.*) \S+$/gm)) {
    for (const name of copied!.split(" ")) {
      expect(ignored).toContain(`!${name}`);
      cpSync(join(root, name), join(folder, name), { recursive: true });
    }
  }
  // In the image `npm ci` makes it, of the same lock file.
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const built = Bun.spawnSync([process.execPath, "build/binary.ts"], { cwd: folder });
  expect(built.stderr.toString()).toBe("");
  expect(built.exitCode).toBe(0);
  const help = Bun.spawnSync([join(folder, "dist/clearway"), "--help"], { cwd: folder });
  expect(help.stdout.toString()).toContain("clearway");
  expect(help.exitCode).toBe(0);
  // Every kind of process that there is, by the compiled program alone: its chunks once loaded the X.509 library before what
  // that wants, and then no coordinator and no sidecar could make a key.
  const demo = Bun.spawnSync([join(folder, "dist/clearway"), "demo", "--for", "4s"], { cwd: folder });
  expect({ code: demo.exitCode, output: demo.stdout.toString() }).toMatchObject({ code: 0 });
}, 120_000);
