/** TLS with programs that are not ours and not built on our host's library: curl, openssl, nginx. */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { statusOf } from "../messages.ts";
import { needsNginx, nginxProgram, startNginx } from "../nginx.ts";
import { okAnswer } from "../recording-upstream.ts";
import type { RunningProxy } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, untilEnd, upstreamWith } from "../setting.ts";
import {
  authority,
  clientAuthority,
  files,
  https,
  provedEntry,
  rogueAuthority,
  shop,
  shopEntry,
} from "./secured.ts";
import { get } from "./tls-caller.ts";

const good = await clientAuthority.issue({ uris: ["spiffe://store.example/storefront"] });
const rogue = await rogueAuthority.issue({ uris: ["spiffe://store.example/storefront"] });
const curl = Bun.which("curl");
const openssl = Bun.which("openssl");
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-peers-"));
  const texts = {
    "servers.pem": authority.certificate,
    "good.pem": good.certificate,
    "good.key": good.key,
    "rogue.pem": rogue.certificate,
    "rogue.key": rogue.key,
  };
  for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text);
  return () => rm(folder, { recursive: true });
});

afterEach(closeAll);

async function run(command: readonly string[], input = ""): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([...command], { cwd: folder, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.write(input);
  child.stdin.end();
  const texts = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, output: (await texts).join("") };
}

async function serving(entry: string): Promise<RunningProxy> {
  const upstream = await upstreamWith({ onRequest: () => okAnswer });
  return proxyTo({ ports: [upstream.port], listener: https([entry]) }, { files });
}

describe.skipIf(curl === null)(
  `${curl === null ? "skipped: needs curl (apt-get install curl): " : ""}curl`,
  () => {
    const asking = (proxy: RunningProxy, ...options: string[]) => {
      const url = `https://shop.example:${proxy.port()}/`;
      const resolve = `shop.example:${proxy.port()}:127.0.0.1`;
      return run([curl!, "-sS", "--cacert", "servers.pem", "--resolve", resolve, ...options, url]);
    };

    test("verifies the listener, offers HTTP/2 and gets HTTP/1.1, under TLS 1.2 and 1.3", async () => {
      const proxy = await serving(shopEntry);
      for (const version of ["1.2", "1.3"]) {
        const { code, output } = await asking(proxy, `--tlsv${version}`, "--tls-max", version, "-v");
        expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining("200 OK") });
        expect(output).toContain(`SSL connection using TLSv${version}`);
        expect(output).toContain("server accepted http/1.1");
      }
      expect(proxy.log).toEqual([]);
    });

    test("keeps its connection, sends a large body, and asks by address", async () => {
      const proxy = await serving(shopEntry);
      await writeFile(join(folder, "body"), Buffer.alloc(3_000_000, 120));
      const url = `https://127.0.0.1:${proxy.port()}/`;
      const write = ["-w", "%{http_code} %{num_connects}\n", "-o", "/dev/null"];
      const { output } = await asking(proxy, ...write, "--data-binary", "@body", ...write, url);
      expect(output.trim().split("\n").toSorted()).toEqual(["200 1", "200 1"]);
      const twice = await asking(proxy, ...write, `https://shop.example:${proxy.port()}/2`);
      expect(twice.output).toContain("200 1\n");
      expect(twice.output).toContain("200 0\n");
    });

    test("passes with its certificate, and not with another or none", async () => {
      const proxy = await serving(provedEntry);
      for (const version of ["1.2", "1.3"]) {
        const options = ["--tls-max", version];
        expect((await asking(proxy, ...options, "--cert", "good.pem", "--key", "good.key")).output).toBe(
          "ok",
        );
        for (const wrong of [["--cert", "rogue.pem", "--key", "rogue.key"], []]) {
          const { output } = await asking(proxy, ...options, ...wrong);
          expect(output).toStartWith(wrong.length > 0 ? "certificate-not-believed" : "certificate-required");
        }
      }
    });

    test("is told when it speaks TLS to a plain port, and plain HTTP to this one", async () => {
      const proxy = await serving(shopEntry);
      const plain = await run([curl!, "-sS", `http://127.0.0.1:${proxy.port()}/`]);
      expect(plain.output).toStartWith("tls-required: this port speaks HTTPS");
      const upstream = await upstreamWith();
      const open = await proxyTo({ ports: [upstream.port] });
      expect((await asking(open)).code).toBe(35);
    });
  },
);

const needsOpenssl = openssl === null ? "skipped: needs openssl (apt-get install openssl): " : "";

describe.skipIf(openssl === null)(`${needsOpenssl}openssl s_client`, () => {
  const shaking = (proxy: RunningProxy, ...options: string[]) => {
    const to = ["-connect", `127.0.0.1:${proxy.port()}`, "-servername", "shop.example"];
    return run([openssl!, "s_client", ...to, "-CAfile", "servers.pem", ...options], closing);
  };
  const closing = get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");

  test("sees a chain that it can verify, and resumes its session", async () => {
    const proxy = await serving(shopEntry);
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const first = await shaking(proxy, version, "-ign_eof", "-sess_out", "session");
      expect(first.output).toContain("Verify return code: 0 (ok)");
      expect(first.output).toContain("200 OK");
      const second = await shaking(proxy, version, "-ign_eof", "-sess_in", "session");
      expect(second.output).toMatch(/^Reused, TLSv1/m);
      expect(second.output).toContain("200 OK");
    }
  });

  test("gets no TLS 1.1, no cipher without forward secrecy, and no early data", async () => {
    const proxy = await serving(shopEntry);
    const weak = ["-cipher", "ALL:@SECLEVEL=0"];
    for (const options of [
      ["-tls1_1", ...weak],
      ["-tls1", ...weak],
      ["-tls1_2", "-cipher", "AES128-SHA:AES256-GCM-SHA384"],
    ]) {
      const { output } = await shaking(proxy, ...options);
      expect(output).toContain("alert");
      expect(output).not.toContain("200 OK");
    }
    const { output } = await shaking(proxy, "-tls1_3", "-ign_eof", "-sess_out", "session");
    expect(output).toContain("Max Early Data: 0");
  });

  test("renegotiates nothing", async () => {
    const proxy = await serving(shopEntry);
    const to = ["-connect", `127.0.0.1:${proxy.port()}`, "-tls1_2"];
    const { output } = await run([openssl!, "s_client", ...to], "R\n");
    expect(output).toMatch(/RENEGOTIATING[\s\S]*(no renegotiation|unexpected|alert|error)/i);
  });
});

describe.skipIf(nginxProgram === null)(`${needsNginx}nginx as a service that asks for certificates`, () => {
  const asked = async (own: string) => {
    const texts = {
      "shop.pem": shop.certificate,
      "shop.key": shop.key,
      "clients.pem": clientAuthority.certificate,
    };
    const nginx = untilEnd(
      await startNginx(
        ({ port, folder: own }) => `server {
          listen 127.0.0.1:${port} ssl;
          ssl_certificate ${own}/shop.pem; ssl_certificate_key ${own}/shop.key;
          ssl_client_certificate ${own}/clients.pem; ssl_verify_client on; ssl_protocols TLSv1.2 TLSv1.3;
          location / { return 200 "$ssl_protocol $ssl_server_name $ssl_client_verify"; }
        }`,
        texts,
      ),
    );
    const options = {
      files: {
        ...files,
        "good.pem": good.certificate,
        "good.key": good.key,
        "rogue.pem": rogue.certificate,
        "rogue.key": rogue.key,
      },
    };
    const service = `    tls: { ca: servers.pem, serverName: shop.example${own} }`;
    const proxy = await proxyTo({ ports: [nginx.port], service }, options);
    const answer = await (await caller(proxy)).exchange(get);
    return [statusOf(answer), answer.body] as const;
  };

  test("gets this node's, and the name that it is asked for", async () => {
    expect(await asked(", certificate: good.pem, key: good.key")).toEqual([
      200,
      "TLSv1.3 shop.example SUCCESS",
    ]);
  });

  test("answers others as it does", async () => {
    const [status, body] = await asked(", certificate: rogue.pem, key: rogue.key");
    expect([status, body.includes("The SSL certificate error")]).toEqual([400, true]);
    const [none, said] = await asked("");
    expect([none, said.includes("No required SSL certificate was sent")]).toEqual([400, true]);
  });
});
