/** Each peer's config is one that the peer itself takes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findPeers, type PeerName, peers, peersFolder } from "../../bench/peers.ts";
import { fillTemplate, makeFolder, removeFolder } from "../../bench/variants.ts";
import { Authority } from "../certificates.ts";

const { found, missing } = findPeers();
let folder = "";

beforeAll(async () => {
  folder = makeFolder();
  const { certificate, key } = await (await Authority.make()).issue({ names: ["bench.example"] });
  writeFileSync(join(folder, "cert.pem"), certificate);
  writeFileSync(join(folder, "key.pem"), key);
  writeFileSync(join(folder, "both.pem"), `${certificate}${key}`);
  writeFileSync(join(folder, "ca.pem"), certificate);
  for (const name of ["caller", "service"]) {
    writeFileSync(join(folder, `${name}.pem`), certificate);
    writeFileSync(join(folder, `${name}.key`), key);
  }
  mkdirSync(join(folder, "services"));
  writeFileSync(join(folder, "stamp.lua"), readFileSync(join(peersFolder, "stamp.lua")));
});
afterAll(() => removeFolder(folder));

const serversOf: Readonly<Record<string, string>> = {
  "haproxy-balance.cfg": "  server one 127.0.0.1:23992",
  "caddy-balance.caddyfile": "127.0.0.1:23992 127.0.0.1:23993",
  "envoy-balance.yaml":
    "              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 23992 } } }",
};

/** As the workloads fill them. */
function filled(template: string): string {
  const path = join(folder, template);
  const names = { folder, certificates: folder, services: join(folder, "services") };
  const ports = { port: 23_990, admin: 23_991, backend: 23_992, workerConnections: 64, generation: 1 };
  const servers = serversOf[template] ?? "server 127.0.0.1:23992;";
  const lists = { servers, endpoints: '"127.0.0.1:23992"', routes: "", retry: "{ attempts: 3 }" };
  const tls = { cipher: "TLS_AES_128_GCM_SHA256", protocol: "http2_protocol_options", alpn: "h2" };
  writeFileSync(path, fillTemplate(template, { ...names, ...ports, ...lists, ...tls }));
  return path;
}

/** How each program checks a config, by the end of the file's name. */
const checks: Readonly<Record<string, { peer: PeerName; words: (path: string) => readonly string[] }>> = {
  ".conf": { peer: "nginx", words: (path) => ["-e", "stderr", "-p", folder, "-t", "-c", path] },
  ".cfg": { peer: "haproxy", words: (path) => ["-c", "-f", path] },
  ".caddyfile": { peer: "caddy", words: (path) => ["validate", "--adapter", "caddyfile", "--config", path] },
  "envoy.yaml": { peer: "envoy", words: (path) => ["--mode", "validate", "-c", path] },
  "envoy-balance.yaml": { peer: "envoy", words: (path) => ["--mode", "validate", "-c", path] },
  "envoy-lua.yaml": { peer: "envoy", words: (path) => ["--mode", "validate", "-c", path] },
  "envoy-outbound.yaml": { peer: "envoy", words: (path) => ["--mode", "validate", "-c", path] },
  "envoy-inbound.yaml": { peer: "envoy", words: (path) => ["--mode", "validate", "-c", path] },
  "envoy-tls.yaml": { peer: "envoy", words: (path) => ["--mode", "validate", "-c", path] },
  "envoy-reload.yaml": { peer: "envoy", words: (path) => ["--mode", "validate", "-c", path] },
};

describe("configs of peers", () => {
  for (const name of readdirSync(peersFolder).sort()) {
    const check = Object.entries(checks).find(([end]) => name.endsWith(end))?.[1];
    const command = check === undefined ? undefined : found.get(check.peer);
    if (check === undefined || command === undefined) continue;
    test(`${check.peer} takes ${name}`, () => {
      if (name === "envoy-reload.yaml") {
        writeFileSync(join(folder, "routes.yaml"), readFileSync(filled("envoy-reload-routes.yaml")));
      }
      const [file, ...words] = [...command, ...check.words(filled(name))];
      const { status, stdout, stderr } = spawnSync(file!, words, {
        encoding: "utf8",
        env: { ...process.env, HOME: folder },
      });
      expect(`${status === 0 ? "" : `${stdout}${stderr}`}exit code ${status}`).toBe("exit code 0");
    });
  }
});

test("each config says its reasons: a comment for its first line, and more", () => {
  for (const name of readdirSync(peersFolder)) {
    if (!/\.(conf|cfg|caddyfile|yaml|mjs)$/.test(name)) continue;
    const lines = readFileSync(join(peersFolder, name), "utf8").split("\n");
    expect(lines[0], name).toMatch(/^(#|\/\/) /);
  }
});

test("a peer that is missing says how to get it, and every peer has a version", () => {
  for (const { name, get, version } of peers) {
    expect(get).toMatch(/apt-get install|pip install|npm ci/);
    const command = found.get(name);
    if (command === undefined) expect(missing.map((peer) => peer.name)).toContain(name);
    else expect(version(command), name).toMatch(/^\d+\.\d+/);
  }
});

test("the TypeScript proxies are pinned, and no dependencies of Clearway", () => {
  const read = (path: string) =>
    JSON.parse(readFileSync(path, "utf8")) as Record<
      "dependencies" | "devDependencies",
      Record<string, string>
    >;
  const { dependencies } = read(join(peersFolder, "package.json"));
  const own = read(join(peersFolder, "..", "..", "package.json"));
  for (const [name, version] of Object.entries(dependencies)) {
    expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
    expect({ ...own.dependencies, ...own.devDependencies }).not.toHaveProperty(name);
  }
});
