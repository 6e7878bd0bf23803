/** The verb `coordinator` as a person uses it: the real program, its files, its port, its end. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requestCertificate } from "../../src/certificate-request.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { openDatabase } from "../../src/host/database/node.ts";
import { secureFetch } from "../../src/host/fetch/bun.ts";
import { CoordinatorClient } from "../../src/node/mesh/coordinator-client.ts";
import { freePort } from "../free-ports.ts";
import { openssl, opensslFiles, opensslVerdict } from "../openssl.ts";
import { type Running, startClearway, until } from "../program.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-coordinator-"));
const running: Running[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const document = (timeout = "2s") => `trustDomain: store.example
services:
  payments:
    allow: [{ from: storefront, method: POST, path: /charge }]
    timeout: ${timeout}
  storefront:
    allow: []
`;

let count = 0;
function newFolder(): string {
  const path = join(folder, String(++count));
  mkdirSync(path);
  writeFileSync(join(path, "mesh.yaml"), document());
  return path;
}

interface Started {
  readonly program: Running;
  readonly url: string;
}

async function start(
  at: string,
  args: readonly string[] = ["-c", "mesh.yaml"],
  port?: number,
): Promise<Started> {
  const bind = `127.0.0.1:${port ?? (await freePort())}`;
  const program = startClearway(["coordinator", "--bind", bind, ...args], { folder: at });
  running.push(program);
  const ended = program.ended.then(() => "ended");
  await until(
    async () => (await Promise.race([ended, Promise.resolve("")])) + program.output(),
    (text) => text.includes("next, for each service") || text.startsWith("ended"),
  );
  return { program, url: `https://${bind}` };
}

async function refused(at: string, args: readonly string[]): Promise<string> {
  const program = startClearway(["coordinator", ...args], { folder: at });
  expect(await program.ended).toBe(1);
  return program.output();
}

async function createToken(at: string, url: string, ...args: string[]): Promise<string> {
  const given = ["token", "create", "--service", "payments", "--coordinator", url, ...args];
  const program = startClearway(given, { folder: at });
  expect([await program.ended, program.output()]).toEqual([0, expect.stringContaining("good")]);
  return program.output().match(/^\S+\.\S+\.\S+$/m)?.[0] ?? "";
}

async function joined(url: string, token: string) {
  const { request } = await requestCertificate();
  const client = new CoordinatorClient({ clock: systemClock, fetch: secureFetch }, [url]);
  return client.join({ token, request });
}

const reasonOf = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: { reason?: string }) => error.reason ?? String(error),
  );

describe("clearway coordinator", () => {
  test("serves a new mesh, vouches for a node, ends in order, and goes on where it was", async () => {
    const at = newFolder();
    const first = await start(at);
    const output = first.program.output();
    expect(output).toContain(`coordinates store.example on ${first.url}`);
    expect(output).toContain("sqlite:.clearway/coordinator.sqlite, version 1 of the mesh document");
    expect(output).toContain(`clearway token create --service payments --coordinator ${first.url}`);
    const operatorFile = join(at, ".clearway/operator.token");
    const operator = readFileSync(operatorFile, "utf8");
    expect(statSync(operatorFile).mode & 0o777).toBe(0o600);
    expect(statSync(join(at, ".clearway/coordinator.sqlite")).mode & 0o777).toBe(0o600);

    const token = await createToken(at, first.url, "--uses", "2");
    const credentials = await joined(first.url, token);
    expect(credentials.identity).toBe("spiffe://store.example/payments");
    const judged = { ...credentials, atEpochMs: Date.now() };
    expect(opensslVerdict({ ...judged, purpose: "sslserver" })).toBe("OK");
    expect(await first.program.stop()).toBe(0);

    const second = await start(at);
    expect(readFileSync(operatorFile, "utf8")).toBe(operator);
    expect(second.program.output()).toContain("version 1 of the mesh document");
    // One use was left, and it is the same mesh.
    expect((await joined(second.url, token)).roots).toBe(credentials.roots);
    expect(await reasonOf(joined(second.url, token))).toBe("token-used-up");
  });

  test("says that other machines dial its own address where it listens on every one", async () => {
    const port = await freePort();
    const args = ["coordinator", "--bind", `0.0.0.0:${port}`, "-c", "mesh.yaml"];
    const program = startClearway(args, { folder: newFolder() });
    running.push(program);
    const output = await until(program.output, (text) => text.includes("on other machines"));
    expect(output).toContain(
      `--coordinator https://127.0.0.1:${port}\n  on other machines with the address of this one instead of 127.0.0.1\n`,
    );
  });

  test("openssl believes its certificate by the mesh's root, under each of its names", async () => {
    const at = newFolder();
    const port = await freePort();
    const { url } = await start(
      at,
      ["-c", "mesh.yaml", "--name", "mesh.internal", "--name", "10.9.8.7"],
      port,
    );
    const { roots } = await joined(url, await createToken(at, url));
    for (const name of ["coordinator.mesh", "localhost", "mesh.internal"]) {
      const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", "roots.pem", "-brief"];
      const said = openssl([...args, "-verify_return_error", "-verify_hostname", name], {
        "roots.pem": roots,
      });
      expect(said).toContain("Verification: OK");
    }
    for (const ip of ["127.0.0.1", "10.9.8.7"]) {
      const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", "roots.pem", "-brief"];
      const said = openssl([...args, "-verify_return_error", "-verify_ip", ip], { "roots.pem": roots });
      expect(said).toContain("Verification: OK");
    }
  });

  test("refuses a second one on the same store, with the file's name", async () => {
    const at = newFolder();
    await start(at);
    const said = await refused(at, ["-c", "mesh.yaml", "--bind", `127.0.0.1:${await freePort()}`]);
    expect(said).toContain("store .clearway/coordinator.sqlite: another coordinator has it open");
  });

  test("clearway token rotate makes every token void at once, and the operator's next one is in its file alone", async () => {
    const at = newFolder();
    const { url } = await start(at);
    const token = await createToken(at, url, "--uses", "2");
    await joined(url, token);
    const operatorFile = join(at, ".clearway/operator.token");
    const stolen = readFileSync(operatorFile, "utf8");
    const rotate = async (environment: Record<string, string>) => {
      const program = startClearway(["token", "rotate", "--coordinator", url], { folder: at, environment });
      return [await program.ended, program.output()] as const;
    };
    const [code, said] = await rotate({ CLEARWAY_TOKEN: stolen });
    expect([code, said]).toEqual([0, expect.stringContaining("every token that was made until now is void")]);
    const next = readFileSync(operatorFile, "utf8");
    expect(said).not.toContain(next.trim());
    expect(await reasonOf(joined(url, token))).toBe("token-forged");
    expect(await rotate({ CLEARWAY_TOKEN: stolen })).toEqual([
      1,
      expect.stringContaining("all tokens were taken back"),
    ]);
    expect(readFileSync(operatorFile, "utf8")).toBe(next);
    expect(await reasonOf(joined(url, await createToken(at, url)))).toBe("none");
  });

  test("takes back its operator's token, and join tokens, when the key in the store is deleted", async () => {
    const at = newFolder();
    const first = await start(at);
    const token = await createToken(at, first.url);
    const operatorFile = join(at, ".clearway/operator.token");
    const operator = readFileSync(operatorFile, "utf8");
    await first.program.stop();
    const database = openDatabase(join(at, ".clearway/coordinator.sqlite"));
    database.run("DELETE FROM secrets WHERE name = 'tokens'");
    database.close();
    const { url } = await start(at);
    expect(readFileSync(operatorFile, "utf8")).not.toBe(operator);
    expect(await reasonOf(joined(url, token))).toBe("token-forged");
    expect(await reasonOf(joined(url, await createToken(at, url)))).toBe("none");
    const old = startClearway(["token", "create", "--service", "payments", "--coordinator", url], {
      folder: at,
      environment: { CLEARWAY_TOKEN: operator },
    });
    expect([await old.ended, old.output()]).toEqual([
      1,
      expect.stringContaining("not made by this mesh's coordinator"),
    ]);
  });

  test("says in one line why it cannot start", async () => {
    const at = newFolder();
    const { url } = await start(newFolder());
    writeFileSync(join(at, "wrong.yaml"), "trustDomain: store.example\nservises: {}\n");
    const inUse = ["-c", "mesh.yaml", "--store", "memory", "--bind", url.replace("https://", "")];
    const wrong: readonly (readonly [readonly string[], string])[] = [
      [[], "the store sqlite:.clearway/coordinator.sqlite is empty: name the mesh document with -c FILE"],
      [["--watch"], "--watch needs a mesh document: -c FILE"],
      [["-c", "mesh.yaml", "--bind", "9800"], 'cannot read "9800" after --bind: wanted HOST:PORT'],
      [["-c", "mesh.yaml", "--store", "etcd://x"], "wanted sqlite:PATH or memory"],
      [["-c", "mesh.yaml", "--name", "a b"], 'cannot read "a b" after --name'],
      [["-c", "mesh.yaml", "--name", "payments.mesh"], "names in .mesh are those of services"],
      [["-c", "mesh.yaml", "--ca-cert", "mesh.yaml"], "--ca-cert and --ca-key belong together"],
      [["-c", "mesh.yaml", "--ca-cert", "x", "--ca-key", "y"], "cannot read x"],
      [["-c", "wrong.yaml"], "wrong.yaml:2:1"],
      [inUse, "is in use: another program listens there"],
    ];
    for (const [args, message] of wrong) {
      const said = await refused(at, args);
      expect(said).toContain(message);
      expect(said).not.toContain("    at ");
    }
  });

  test("vouches below an authority of the user's own, which it does not keep the key of", async () => {
    const at = newFolder();
    const made = [
      "-keyout",
      "key.pem",
      "-out",
      "ca.pem",
      "-nodes",
      "-subj",
      "/CN=Store root",
      "-days",
      "400",
    ];
    const added = [
      "-addext",
      "basicConstraints=critical,CA:TRUE",
      "-addext",
      "keyUsage=critical,keyCertSign",
    ];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const config = "[req]\ndistinguished_name=dn\n[dn]\n";
    const [ca = "", key = ""] = opensslFiles(
      ["req", "-x509", "-config", "c", ...curve, ...made, ...added],
      { c: config },
      ["ca.pem", "key.pem"],
    );
    writeFileSync(join(at, "ca.pem"), ca);
    writeFileSync(join(at, "ca.key"), key);
    const own = ["-c", "mesh.yaml", "--ca-cert", "ca.pem", "--ca-key", "ca.key"];
    const first = await start(at, own);
    const { certificate, roots } = await joined(first.url, await createToken(at, first.url));
    expect(roots.replace(/\s/g, "")).toBe(ca.replace(/\s/g, ""));
    // The intermediate begins no earlier than the authority.
    const judged = { certificate, roots: ca, purpose: "sslclient", atEpochMs: Date.now() + 2000 } as const;
    expect(opensslVerdict(judged)).toBe("OK");
    await first.program.stop();
    const kept = readFileSync(join(at, ".clearway/coordinator.sqlite"), "latin1");
    expect(kept).not.toContain(key.split("\n")[1]!);
  });

  test("compares the document with the version that holds, and applies a saved one with --watch", async () => {
    const at = newFolder();
    await (await start(at)).program.stop();
    const file = join(at, "mesh.yaml");
    writeFileSync(file, document("3s"));
    const compared = await start(at);
    // The lines behind the one that `start` waits for come in a piece of their own at times.
    await until(
      () => compared.program.output(),
      (said) => said.includes("mesh.yaml is not what holds (1 change); this applies it:"),
    );
    expect(compared.program.output()).toContain("version 1 of the mesh document");
    await compared.program.stop();

    const { program } = await start(at, ["-c", "mesh.yaml", "--watch"]);
    await until(program.output, (text) => text.includes("mesh.yaml is applied: version 2 holds"));
    writeFileSync(file, document("1 parsec"));
    await until(program.output, (text) => text.includes("mesh.yaml is not applied; version 2 goes on"));
    expect(program.output()).toContain("mesh.yaml:5:14");
    writeFileSync(file, document("4s"));
    await until(program.output, (text) => text.includes("mesh.yaml is applied: version 3 holds"));
    expect(await program.stop()).toBe(0);
  });
});
