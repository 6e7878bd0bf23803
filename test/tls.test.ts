/** TLS through the real program: files that change, what is said of them, and what must show nowhere. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { Authority, type Pair } from "./certificates.ts";
import { freePorts } from "./free-ports.ts";
import { answers, type Running, startClearway, until } from "./program.ts";

const authority = await Authority.make("CN=servers");
const clients = await Authority.make("CN=clients");
const storefront = await clients.issue({ uris: ["spiffe://store.example/storefront"] });
/** All that were ever written, so that they can be looked for. */
const keys: string[] = [];

let folder: string;
let running: Running;
let service: Server;
let web: number;
let plain: number;
let admin: number;

async function issue(name: string, endsDays = 30): Promise<Pair> {
  const pair = await authority.issue({ names: [name], endsDays });
  keys.push(pair.key);
  return pair;
}

async function save(name: string, text: string): Promise<void> {
  await writeFile(join(folder, `${name}.new`), text);
  await rename(join(folder, `${name}.new`), join(folder, name));
}

async function savePair(name: string, { certificate, key }: Pair): Promise<void> {
  await save(`${name}.pem`, certificate);
  await save(`${name}.key`, key);
}

function config(marker: string): string {
  return `admin: 127.0.0.1:${admin}
listeners:
  web:
    bind: 127.0.0.1:${web}
    protocol: https
    tls:
      - { certificate: shop.pem, key: shop.key }
      - { certificate: proved.pem, key: proved.key, clientCa: clients.pem }
    filters: [access-log]
    routes:
      - match: { path: /marker }
        respond: { body: "${marker}" }
      - match: { path: /app }
        to: app
  plain:
    bind: 127.0.0.1:${plain}
    routes: [{ redirect: { scheme: https, host: shop.example, status: 308 } }]
services:
  app: { endpoints: ["127.0.0.1:${(service.address() as AddressInfo).port}"] }
  orders:
    endpoints: ["127.0.0.1:1"]
    tls: { certificate: brief.pem, key: brief.key, verification: none }
`;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-tls-"));
  service = createServer((request, response) => {
    const { "x-forwarded-proto": proto, forwarded } = request.headers;
    response.end(JSON.stringify({ proto, forwarded }));
  });
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  [web, plain, admin] = (await freePorts(3)) as [number, number, number];
  await savePair("shop", await issue("shop.example"));
  await savePair("proved", await issue("proved.example"));
  await savePair("brief", await issue("gateway", 5));
  await save("clients.pem", clients.certificate);
  await save("clearway.yaml", config("first"));
  running = startClearway(["run", "-c", join(folder, "clearway.yaml")]);
  await answers(`http://127.0.0.1:${admin}/readyz`, running);
});

afterAll(async () => {
  await running?.stop();
  service?.close();
  await rm(folder, { recursive: true, force: true });
});

const verified = { ca: authority.certificate };

async function ask(path: string, tls: object = {}, host = "shop.example"): Promise<Response> {
  return fetch(`https://127.0.0.1:${web}${path}`, {
    headers: { host, connection: "close" },
    tls: { ...verified, serverName: host, ...tls },
  } as RequestInit);
}

async function shownNames(servername = "shop.example"): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: web, servername, rejectUnauthorized: false });
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  const names = socket.getPeerX509Certificate()?.subjectAltName ?? "";
  socket.destroy();
  return names;
}

interface ShownProblem {
  readonly path: string;
  readonly message: string;
  readonly line: number;
}

async function problems(): Promise<ShownProblem[]> {
  const answer = await fetch(`http://127.0.0.1:${admin}/problems`);
  return ((await answer.json()) as { problems: ShownProblem[] }).problems;
}

describe("run with https", () => {
  test("says so for each listener, and of certificates what its owner should know", async () => {
    await until(running.output, (output) => output.includes("plain on"));
    const said = running.output();
    expect(said).toContain(`listener web on https://127.0.0.1:${web} (2 routes)`);
    expect(said).toContain(`listener plain on http://127.0.0.1:${plain} (1 route)`);
    await until(running.output, (output) => output.includes("verification: none"));
    expect(running.output()).toContain("the certificate of service orders ends in 4 days");
    expect(running.output()).not.toContain("the certificate of listener");
    const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    expect(metrics).toMatch(
      /^clearway_certificate_expiry_seconds\{listener="web",service="",certificate=".*shop.pem"\} \d+$/m,
    );
  });

  test("tells services that the caller spoke https, and leads callers of the plain port there", async () => {
    expect(await (await ask("/app")).json()).toMatchObject({
      proto: "https",
      forwarded: expect.stringContaining("proto=https"),
    });
    const answer = await fetch(`http://127.0.0.1:${plain}/a?b=c`, { redirect: "manual" });
    expect([answer.status, answer.headers.get("location")]).toEqual([308, "https://shop.example/a?b=c"]);
  });

  test("writes in the access log who the caller proved to be", async () => {
    const tls = { cert: storefront.certificate, key: storefront.key };
    expect(await (await ask("/marker?proved", tls, "proved.example")).text()).toBe("first");
    const line = await until(
      () =>
        running
          .output()
          .split("\n")
          .find((each) => each.includes("?proved") || each.includes("spiffe:")) ?? "",
      (found) => found !== "",
    );
    expect(line).toContain("spiffe://store.example/storefront");
  });

  test("says in the log why a caller that proves nothing is not served", async () => {
    const { status, headers } = await ask("/marker", {}, "proved.example");
    expect([status, headers.get("x-clearway-reason")]).toEqual([403, "certificate-required"]);
    await until(running.output, (output) => output.includes("the other side showed no certificate"));
  });
});

describe("certificates that change on the disk", () => {
  test("are live without a word from anybody", async () => {
    await savePair("shop", await issue("shop.example"));
    const next = await authority.issue({ names: ["shop.example", "second.example"] });
    await savePair("shop", next);
    await until(shownNames, (names) => names.includes("second.example"));
    expect(await problems()).toEqual([]);
  });

  test("half-way are a problem while the old ones serve, and live when the other half is there", async () => {
    const before = await shownNames();
    const next = await authority.issue({ names: ["shop.example", "third.example"] });
    await save("shop.pem", next.certificate);
    const [problem] = await until(problems, (found) => found.length > 0);
    expect(problem).toMatchObject({ path: "listeners.web.tls[0].key", line: 7 });
    expect(problem!.message).toMatch(
      /^cannot use ".*shop.key": it is not the key of the certificate in ".*shop.pem"$/,
    );
    expect(await shownNames()).toBe(before);
    await save("shop.key", next.key);
    await until(shownNames, (names) => names.includes("third.example"));
    expect(await until(problems, (found) => found.length === 0)).toEqual([]);
  });

  test("and are wrong hold up every other change, with all that is wrong, until they are right", async () => {
    const good = await issue("shop.example");
    for (const [name, text, message] of [
      ["shop.pem", "", "there is no -----BEGIN CERTIFICATE----- in it"],
      ["shop.pem", (await issue("shop.example", -0.5)).certificate, "ended at"],
      [
        "shop.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "it is encrypted",
      ],
      ["clients.pem", "nobody", "there is no -----BEGIN CERTIFICATE----- in it"],
    ] as const) {
      await save(name, text);
      await save("clearway.yaml", config(`beside a wrong ${name}`));
      await until(problems, (found) => found.some((problem) => problem.message.includes(message)));
      expect(await (await ask("/marker")).text()).toBe("first");
      await savePair("shop", good);
      await save("clients.pem", clients.certificate);
      await save("clearway.yaml", config("first"));
      await until(problems, (found) => found.length === 0);
      // The certificates may have been right before the config was back.
      await until(
        async () => (await ask("/marker")).text(),
        (seen) => seen === "first",
      );
    }
  });

  test("or go are said to be missing, and the old ones serve", async () => {
    await rm(join(folder, "proved.key"));
    const [problem] = await until(problems, (found) => found.length > 0);
    expect(problem!.message).toMatch(/^cannot read ".*proved.key": it is not there$/);
    expect(await shownNames("proved.example")).toBe("DNS:proved.example");
    await savePair("proved", await issue("proved.example"));
    await until(problems, (found) => found.length === 0);
  });
});

describe("private keys", () => {
  test("show in no answer of admin, not in the log, not where the config is printed", async () => {
    await ask("/marker");
    const shown = await Promise.all(
      ["/snapshot", "/problems", "/metrics"].map(async (path) =>
        (await fetch(`http://127.0.0.1:${admin}${path}`)).text(),
      ),
    );
    expect(shown[0]).toContain("shop.key");
    for (const format of [[], ["--json"]]) {
      const check = startClearway(["check", "-c", join(folder, "clearway.yaml"), "--resolved", ...format]);
      expect(await check.ended).toBe(0);
      expect(check.output()).toContain("shop.key");
      shown.push(check.output());
    }
    shown.push(running.output());
    expect(keys.length).toBeGreaterThan(5);
    for (const text of shown) {
      expect(text).not.toContain("PRIVATE KEY-----\n");
      for (const key of keys)
        for (const line of key.split("\n").slice(1, -2)) expect(text).not.toContain(line);
    }
  });
});
