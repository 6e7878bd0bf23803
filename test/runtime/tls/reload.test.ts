/** What a change of the configuration does to connections with TLS: to those that are there, and to those that come. */
import { afterEach, describe, expect, test } from "bun:test";
import type { ConnectionOptions } from "node:tls";
import { statusOf, values } from "../messages.ts";
import { okAnswer, type UpstreamScript } from "../recording-upstream.ts";
import { gateway, type RunningProxy } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import {
  authority,
  clientAuthority,
  files,
  https,
  provedEntry,
  rogueAuthority,
  shopEntry,
  shown,
} from "./secured.ts";
import { asked, get, TlsCaller } from "./tls-caller.ts";

afterEach(closeAll);

const good = await clientAuthority.issue({ uris: ["spiffe://store.example/storefront"] });
const second = await authority.issue({ names: ["shop.example", "second.example"] });
const versions = ["TLSv1.2", "TLSv1.3"] as const;

/** A proxy whose entries and files can be changed, and applied. */
async function changing(entries: readonly string[], script: UpstreamScript = { onRequest: () => okAnswer }) {
  const upstream = await upstreamWith(script);
  const texts: Record<string, string> = { ...files };
  const proxy = await proxyTo({ ports: [upstream.port], listener: https(entries) }, { files: texts });
  return {
    proxy,
    upstream,
    texts,
    apply: (listener = https(entries), more = "") =>
      proxy.apply(gateway({ ports: [upstream.port], listener, root: more })),
  };
}

async function served(client: TlsCaller): Promise<unknown[]> {
  const answer = await client.exchange(get);
  return [statusOf(answer), ...values(answer, "connection")];
}

async function resumes(proxy: RunningProxy, options: ConnectionOptions): Promise<boolean> {
  const client = await TlsCaller.open(proxy.port(), options);
  expect(statusOf(await client.exchange(get))).toBe(200);
  const reused = client.tls.isSessionReused();
  client.close();
  return reused;
}

async function sessionOf(proxy: RunningProxy, options: ConnectionOptions): Promise<Buffer> {
  const client = await TlsCaller.open(proxy.port(), options);
  expect(statusOf(await client.exchange(get))).toBe(200);
  const session = await client.until("a session", () => client.sessions.at(-1) ?? null);
  client.close();
  return session;
}

describe("a new certificate", () => {
  test("is shown from the next handshake on, while connections of before go on", async () => {
    const { proxy, texts, apply } = await changing([shopEntry]);
    const before = await TlsCaller.open(proxy.port());
    expect(await served(before)).toEqual([200]);
    for (let round = 0; round < 5; round++) {
      const pair = await authority.issue({ names: [`round-${round}.example`] });
      Object.assign(texts, { "shop.pem": pair.certificate, "shop.key": pair.key });
      await apply();
      const after = await TlsCaller.open(proxy.port());
      expect(after.shown).toBe(`DNS:round-${round}.example`);
      expect(await served(after)).toEqual([200]);
      expect(await served(before)).toEqual([200]);
    }
  });

  test("leaves a handshake that is under way its own", async () => {
    const { proxy, texts, apply } = await changing([shopEntry]);
    const client = await caller(proxy);
    client.send("\x16\x03");
    Object.assign(texts, { "shop.pem": second.certificate, "shop.key": second.key });
    await apply();
    client.close();
    expect((await TlsCaller.open(proxy.port())).shown).toContain("second.example");
  });

  test("that cannot be used changes nothing", async () => {
    const { proxy, texts, apply } = await changing([shopEntry]);
    Object.assign(texts, { "shop.pem": second.certificate });
    await expect(apply()).rejects.toThrow("is not the key of the certificate");
    expect((await TlsCaller.open(proxy.port())).shown).toStartWith("DNS:shop.example");
    Object.assign(texts, { "shop.key": second.key });
    await apply();
    expect((await TlsCaller.open(proxy.port())).shown).toContain("second.example");
  });

  for (const version of versions) {
    test(`ends sessions; any other change does not, ${version}`, async () => {
      const { proxy, texts, apply } = await changing([shopEntry]);
      const options = { minVersion: version, maxVersion: version } as const;
      const session = await sessionOf(proxy, options);
      expect(await resumes(proxy, { ...options, session })).toBe(true);
      await apply(https([shopEntry]), "limits: { routeTimeout: 9s }");
      expect(await resumes(proxy, { ...options, session })).toBe(true);
      Object.assign(texts, { "shop.pem": second.certificate, "shop.key": second.key });
      await apply();
      expect(await resumes(proxy, { ...options, session })).toBe(false);
    });
  }
});

describe("a new clientCa", () => {
  const changes: readonly (readonly [what: string, change: (texts: Record<string, string>) => string])[] = [
    [
      "of another authority",
      (texts) => {
        texts["clients.pem"] = rogueAuthority.certificate;
        return provedEntry;
      },
    ],
    [
      "of one more authority",
      (texts) => {
        texts["clients.pem"] += authority.certificate;
        return provedEntry;
      },
    ],
    ["of none", () => shopEntry],
    ["of the same, but asked of all", () => provedEntry],
  ];
  for (const [what, change] of changes) {
    test(`${what} ends a connection after its next answer, whose request is served`, async () => {
      const optional = provedEntry.replace(" }", ", clientAuth: optional }");
      const { proxy, upstream, texts, apply } = await changing([
        what.includes("asked of all") ? optional : provedEntry,
      ]);
      const client = await TlsCaller.open(proxy.port(), shown(good));
      expect(await served(client)).toEqual([200]);
      await apply(https([change(texts)]));
      expect(await served(client)).toEqual([200, "close"]);
      expect(await client.ended()).toBe("fin");
      expect(upstream.requests).toHaveLength(2);
    });
  }

  for (const version of versions) {
    test(`ends sessions that the old one proved, ${version}`, async () => {
      const { proxy, texts, apply } = await changing([provedEntry]);
      const options = { minVersion: version, maxVersion: version, ...shown(good) } as const;
      const session = await sessionOf(proxy, options);
      texts["clients.pem"] = rogueAuthority.certificate;
      await apply();
      expect(await asked(proxy.port(), { ...options, session })).toBeNull();
    });
  }

  test("lets an answer that is under way end first", async () => {
    let release = () => {};
    const { proxy, upstream, texts, apply } = await changing([provedEntry], {
      onRequest: (_request, connection) => {
        release = () => connection.send("lf");
        return connection.requests.length === 1 ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha" : okAnswer;
      },
    });
    const client = await TlsCaller.open(proxy.port(), shown(good));
    client.send(get);
    await upstream.request();
    texts["clients.pem"] = rogueAuthority.certificate;
    await apply();
    release();
    expect((await client.answer()).body).toBe("half");
    expect(await served(client)).toContain("close");
  });

  test("is nothing to a connection when only the certificate beside it changed, or another entry", async () => {
    const { proxy, texts, apply } = await changing([provedEntry]);
    const client = await TlsCaller.open(proxy.port(), { servername: "shop.example", ...shown(good) });
    expect(await served(client)).toEqual([200]);
    Object.assign(texts, { "shop.pem": second.certificate, "shop.key": second.key });
    await apply();
    expect(await served(client)).toEqual([200]);
    const other = await authority.issue({ names: ["other.example"] });
    Object.assign(texts, { "other.pem": other.certificate, "other.key": other.key });
    texts["rogues.pem"] = rogueAuthority.certificate;
    await apply(https([provedEntry, "{ certificate: other.pem, key: other.key, clientCa: rogues.pem }"]));
    expect(await served(client)).toEqual([200]);
  });
});

describe("a listener that changes its protocol", () => {
  const fixed = async (first: string) => {
    const upstream = await upstreamWith();
    const proxy = await proxyTo({ ports: [upstream.port], listener: first }, { files });
    return {
      upstream,
      proxy,
      apply: (listener: string) => proxy.apply(gateway({ ports: [upstream.port], listener })),
    };
  };

  test("from http to https serves nobody in plain text any more", async () => {
    const { proxy, upstream, apply } = await fixed("");
    const plain = await caller(proxy);
    expect(statusOf(await plain.exchange(get))).toBe(200);
    await apply(https([provedEntry]));
    const answer = await plain.exchange(get);
    expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([400, "tls-required"]);
    expect(await plain.ended()).toBe("fin");
    expect(upstream.requests).toHaveLength(1);
    expect(await asked(proxy.port(), shown(good))).toBe(200);
  });

  test("from https to http ends connections after their next answer, and handshakes under way", async () => {
    const { proxy, apply } = await fixed(https([shopEntry]));
    const client = await TlsCaller.open(proxy.port());
    expect(await served(client)).toEqual([200]);
    const begun = await caller(proxy);
    begun.send("\x16\x03");
    await apply("");
    expect(await served(client)).toEqual([200, "close"]);
    const plain = await caller(proxy);
    expect(statusOf(await plain.exchange(get))).toBe(200);
    begun.send("\x01\0\x04\x01\0\0\0");
    expect(await begun.ended()).toBe("reset");
    expect(proxy.log.at(-1)!.message).toContain("TLS is not spoken here any more");
  });
});
