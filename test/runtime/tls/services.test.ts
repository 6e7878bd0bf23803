/** TLS towards services: who is believed, what is shown, and that a pool never mixes identities. */
import { afterEach, describe, expect, test } from "bun:test";
import type { TlsOptions } from "node:tls";
import { systemClock } from "../../../src/host/clock/node.ts";
import { HelloReader } from "../../../src/runtime/tls/client-hello.ts";
import { Authority, type Pair } from "../../certificates.ts";
import { statusOf, values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import { okAnswer, type RecordedConnection, type UpstreamScript } from "../recording-upstream.ts";
import { gateway, type RunningProxy } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";
import { authority, clientAuthority, files, rogueAuthority, shop, shown } from "./secured.ts";
import { get } from "./tls-caller.ts";

afterEach(closeAll);

const ok: UpstreamScript = { onRequest: () => okAnswer };
const believing = "    tls: { ca: servers.pem, serverName: shop.example }";

function secure(pair: Pair, more: TlsOptions = {}): TlsOptions {
  return { ...shown(pair), ...more };
}

async function told(proxy: RunningProxy): Promise<unknown[]> {
  const client = await caller(proxy);
  const answer = await client.exchange(get);
  client.close();
  return [statusOf(answer), ...values(answer, "x-clearway-reason")];
}

const between = await authority.authority("CN=between");
const below = await between.issue({ names: ["shop.example"] });
/** Certificates of services, and the config for which they do. */
const believed: readonly (readonly [what: string, pair: Pair, text: string])[] = [
  ["that names the wanted one", shop, believing],
  ["that names the endpoint's address", shop, "    tls: { ca: servers.pem }"],
  [
    "with what leads to its root",
    { ...below, certificate: below.certificate + between.certificate },
    believing,
  ],
  ["of anybody, where none is verified", shop, "    tls: { verification: none }"],
  ["of another name, where none is verified", shop, "    tls: { verification: none, serverName: a.example }"],
  [
    "with a wildcard for one label",
    await authority.issue({ names: ["*.shop.example"] }),
    "    tls: { ca: servers.pem, serverName: a.shop.example }",
  ],
];

const issued = (wish: Parameters<Authority["issue"]>[0]) =>
  authority.issue({ names: ["shop.example"], ...wish });
/** What services do wrong, all for the same config; null for one without TLS. */
const notBelieved: readonly (readonly [what: string, tls: TlsOptions | null, words: string])[] = [
  [
    "its certificate names another",
    secure(await issued({ names: ["other.example"] })),
    "its certificate is not for this name",
  ],
  [
    "its authority is another one of the same name",
    secure(await (await Authority.make("CN=servers")).issue({ names: ["shop.example"] })),
    "its certificate is not believed: certificate signature failure",
  ],
  [
    "its authority is unknown",
    secure(await rogueAuthority.issue({ names: ["shop.example"] })),
    "its certificate is not believed: unable to",
  ],
  [
    "its certificate has expired",
    secure(await issued({ startsDays: -9, endsDays: -1 })),
    "its certificate is not believed: certificate has expired",
  ],
  [
    "its certificate is not valid yet",
    secure(await issued({ startsDays: 1 })),
    "its certificate is not believed: certificate is not yet valid",
  ],
  [
    "its wildcard stands for a name of its own",
    secure(await issued({ names: ["*.shop.example"] })),
    "its certificate is not for this name",
  ],
  ["it leaves out what leads to its root", secure(below), "its certificate is not believed: unable to"],
  ["it does not speak TLS", null, "the other side does not speak TLS"],
  [
    "it demands a certificate",
    secure(shop, { requestCert: true, rejectUnauthorized: true, ca: clientAuthority.certificate }),
    "the other side demands a certificate",
  ],
  [
    "it speaks an old TLS alone",
    secure(shop, { minVersion: "TLSv1", maxVersion: "TLSv1.1" }),
    "the two sides share no TLS version",
  ],
];

/** Answers whatever comes as a web server answers what it cannot read. */
const plainHttp: UpstreamScript = {
  onData: (connection) => connection.send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
};

describe("a service with TLS", () => {
  test("is asked over connections that are kept, each with one handshake", async () => {
    const upstream = await upstreamWith(ok, secure(shop));
    const proxy = await proxyTo({ ports: [upstream.port], service: believing }, { files });
    for (let count = 0; count < 5; count++) expect(await told(proxy)).toEqual([200]);
    expect(upstream.connections).toHaveLength(1);
    expect(upstream.requests).toHaveLength(5);
    expect(upstream.connections[0]!.tls!.getProtocol()).toBe("TLSv1.3");
    expect(upstream.connections[0]!.tls!.alpnProtocol).toBe(false);
    expect(proxy.log).toEqual([]);
  });

  test("hears the name that it is asked for, and none when that is an address", async () => {
    for (const [text, wanted] of [
      ["    tls: { serverName: shop.example }", "shop.example"],
      ["    tls: {}", null],
    ] as const) {
      const upstream = await upstreamWith({});
      const proxy = await proxyTo({ ports: [upstream.port], service: text });
      void told(proxy).catch(() => {});
      const connection = await upstream.connection();
      await connection.until("a hello", () => {
        const hello = new HelloReader().add(Buffer.from(connection.received, "latin1"));
        return hello.kind === "tls" && hello.serverName === wanted ? true : null;
      });
      connection.close();
    }
  });

  for (const [what, pair, text] of believed) {
    test(`is believed with a certificate ${what}`, async () => {
      const upstream = await upstreamWith(ok, secure(pair));
      const proxy = await proxyTo({ ports: [upstream.port], service: text }, { files });
      expect(await told(proxy)).toEqual([200]);
    });
  }

  for (const [what, tls, words] of notBelieved) {
    test(`gets nothing when ${what}, and the log says that`, async () => {
      const upstream = await upstreamWith(tls === null ? plainHttp : ok, tls ?? undefined);
      const proxy = await proxyTo({ ports: [upstream.port], service: believing }, { files });
      expect(await told(proxy)).toEqual([503, "no-healthy-endpoint"]);
      expect(upstream.requests).toEqual([]);
      expect(proxy.log[0]!.message).toContain(`service shop: 127.0.0.1:${upstream.port}: ${words}`);
      expect(proxy.open.upstream).toBe(0);
    });

    test(`is passed over for another endpoint when ${what}`, async () => {
      const wrong = await upstreamWith(tls === null ? plainHttp : ok, tls ?? undefined);
      const right = await upstreamWith(ok, secure(shop));
      const proxy = await proxyTo({ ports: [wrong.port, right.port], service: believing }, { files });
      for (let count = 0; count < 6; count++) expect(await told(proxy)).toEqual([200]);
      expect(wrong.requests).toEqual([]);
      expect(right.requests).toHaveLength(6);
    });
  }

  test("that accepts and never shakes hands is given up within the time to connect", async () => {
    const silent = await upstreamWith({});
    const proxy = await proxyTo(
      { ports: [silent.port], service: believing, timeouts: "{ connect: 50ms }" },
      { files, clock: systemClock },
    );
    expect(await told(proxy)).toEqual([503, "no-healthy-endpoint"]);
    expect(proxy.log[0]!.message).toContain("ETIMEDOUT");
    await eventually("the end of the connection", () => silent.connections[0]!.peer !== "open");
  });
});

describe("a service that asks who this node is", () => {
  const asking = { requestCert: true, rejectUnauthorized: true, ca: clientAuthority.certificate };
  const showing =
    "    tls: { ca: servers.pem, serverName: shop.example, certificate: own.pem, key: own.key }";
  const nodeFiles = ({ certificate, key }: Pair) => ({ ...files, "own.pem": certificate, "own.key": key });
  const gatewayPair = (name: string) => clientAuthority.issue({ uris: [`spiffe://store.example/${name}`] });
  const identityOf = (connection: RecordedConnection) =>
    connection.tls!.getPeerX509Certificate()!.subjectAltName!.replace("URI:spiffe://store.example/", "");

  test("gets this node's certificate", async () => {
    const upstream = await upstreamWith(ok, secure(shop, asking));
    const options = { files: nodeFiles(await gatewayPair("gateway")) };
    const proxy = await proxyTo({ ports: [upstream.port], service: showing }, options);
    expect(await told(proxy)).toEqual([200]);
    expect(upstream.connections.map(identityOf)).toEqual(["gateway"]);
  });

  test("does not believe another's, and that is said", async () => {
    const upstream = await upstreamWith(ok, secure(shop, asking));
    const rogue = await rogueAuthority.issue({ uris: ["spiffe://store.example/gateway"] });
    const proxy = await proxyTo({ ports: [upstream.port], service: showing }, { files: nodeFiles(rogue) });
    for (let count = 0; count < 5; count++) {
      const [status] = await told(proxy);
      expect(status).toBeGreaterThanOrEqual(502);
    }
    expect(upstream.requests).toEqual([]);
  });

  test("never sees two identities on a connection: a new certificate is a new pool, at once, under load", async () => {
    /** What each request was sent as: the config's version, and the connection's identity. */
    const seen: { readonly path: string; readonly identity: string }[] = [];
    const upstream = await upstreamWith(
      {
        onRequest: (request, connection) => {
          seen.push({ path: request.start.split(" ")[1]!, identity: identityOf(connection) });
          return okAnswer;
        },
      },
      secure(shop, asking),
    );
    const names = ["one", "two", "three", "four", "five"];
    const pairs = await Promise.all(names.map(gatewayPair));
    const changing: Record<string, string> = { ...nodeFiles(pairs[0]!) };
    const text = gateway({ ports: [upstream.port], service: showing });
    const proxy = await proxyTo({ ports: [upstream.port], service: showing }, { files: changing });
    let version = 0;
    let stopped = false;
    const statuses: number[] = [];
    const load = Array.from({ length: 8 }, async () => {
      const client = await RawClient.open(proxy.port());
      while (!stopped) {
        const asked = `GET /${names[version]} HTTP/1.1\r\nHost: shop.example\r\n\r\n`;
        statuses.push(statusOf(await client.exchange(asked)));
      }
      client.close();
    });
    for (const [index, pair] of pairs.entries()) {
      if (index > 0) {
        Object.assign(changing, nodeFiles(pair));
        await proxy.apply(text);
        version = index;
      }
      const wanted = seen.length + 200;
      await eventually("requests", () => seen.length > wanted);
    }
    stopped = true;
    await Promise.all(load);
    expect(new Set(statuses)).toEqual(new Set([200]));
    // A request may be overtaken by a reload on its way: then it is sent as the newer one, never as an older.
    for (const { path, identity } of seen) {
      expect(names.indexOf(identity)).toBeGreaterThanOrEqual(names.indexOf(path.slice(1)));
    }
    expect(new Set(seen.map(({ identity }) => identity))).toEqual(new Set(names));
    await eventually("the pools of before to be closed", () =>
      upstream.connections.every(
        (connection) => identityOf(connection) === "five" || connection.peer !== "open",
      ),
    );
  });
});
