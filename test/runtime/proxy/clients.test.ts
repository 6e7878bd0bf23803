/** Clients that are told of the proxy as people tell them: curl by its options, Bun and Python by their environment. */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority } from "../../certificates.ts";
import type { RunningProxy } from "../running-proxy.ts";
import { closeAll, untilEnd, upstreamWith } from "../setting.ts";
import { DecidedHosts, proxying } from "./proxying.ts";

afterEach(closeAll);

const authority = await Authority.make("CN=outside");
const pair = await authority.issue({ names: ["host.example"] });
const curl = Bun.which("curl");
const python = Bun.which("python3");
const needsCurl = curl === null ? "skipped: needs curl (apt-get install curl): " : "";
const needsPython = python === null ? "skipped: needs python3 (apt-get install python3): " : "";
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-proxy-"));
  await writeFile(join(folder, "outside.pem"), authority.certificate);
  return () => rm(folder, { recursive: true });
});

/** What it prints, on stdout and on stderr. */
async function run(command: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const { PATH = "", HOME = folder } = process.env;
  const env = { PATH, HOME, ...environment };
  const child = Bun.spawn([...command], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  const texts = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return texts.join("");
}

/** A service of the mesh, and an HTTPS host outside, whose port is the result's. */
async function everything() {
  const upstream = await upstreamWith();
  const names = new DecidedHosts({ "host.example": ["127.0.0.1"] });
  const proxy = await proxying({ ports: [upstream.port] }, { names });
  const server = createServer({ cert: pair.certificate, key: pair.key }, (_, answer) => answer.end("secret"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  untilEnd({ stop: () => server.close() });
  const { port } = server.address() as AddressInfo;
  return { proxy, url: `http://127.0.0.1:${proxy.port()}`, secure: `https://host.example:${port}/` };
}

const routes = (proxy: RunningProxy) => proxy.measured.map(({ route, method }) => `${method} ${route}`);

describe("the proxy of a node serves", () => {
  test.skipIf(curl === null)(`${needsCurl}curl, with whole URLs and with tunnels`, async () => {
    const { proxy, url, secure } = await everything();
    const asked = [curl!, "-sS", "--max-time", "20", "--proxy", url];
    expect(await run([...asked, "http://shop.mesh/"])).toBe("ok");
    expect(await run([...asked, "--proxytunnel", "http://shop.mesh/", "http://shop.mesh/"])).toBe("okok");
    expect(await run([...asked, "--proxy1.0", url, "--proxytunnel", "http://shop.mesh/"])).toBe("ok");
    expect(await run([...asked, "--cacert", "outside.pem", secure])).toBe("secret");
    expect(await run([...asked, "https://shop.mesh/"])).toContain("response 400");
    expect(routes(proxy)).toEqual([
      "GET *",
      ...["CONNECT (tunnel)", "GET *", "GET *"],
      ...["CONNECT (tunnel)", "GET *"],
      "CONNECT (outside)",
      "CONNECT ",
    ]);
  });

  test("Bun's fetch", async () => {
    const { url, secure } = await everything();
    const script = `for (const url of ${JSON.stringify(["http://shop.mesh/", secure])}) {
      const tls = { ca: await Bun.file("outside.pem").text() };
      console.log(await (await fetch(url, { tls })).text());
    }`;
    const environment = { HTTP_PROXY: url, HTTPS_PROXY: url };
    expect(await run([process.execPath, "-e", script], environment)).toBe("ok\nsecret\n");
  });

  test.skipIf(python === null)(`${needsPython}Python's urllib`, async () => {
    const { url, secure } = await everything();
    const script = [
      "import ssl, urllib.request as request",
      "trust = ssl.create_default_context(cafile='outside.pem')",
      `for url in ('http://shop.mesh/', '${secure}'):`,
      "  opener = request.build_opener(request.ProxyHandler(), request.HTTPSHandler(context=trust))",
      "  print(opener.open(url, timeout=20).read().decode())",
    ];
    const environment = { http_proxy: url, https_proxy: url };
    expect(await run([python!, "-c", script.join("\n")], environment)).toBe("ok\nsecret\n");
  });
});
