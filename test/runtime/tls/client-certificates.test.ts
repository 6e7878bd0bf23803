/** Callers that have to prove who they are: who passes, as whom, and that nobody else ever does. */
import { afterEach, describe, expect, test } from "bun:test";
import type { ConnectionOptions } from "node:tls";
import { filters as builtIn } from "../../../src/filters/index.ts";
import { defineFilter, z } from "../../../src/plugin.ts";
import type { FilterDefinition } from "../../../src/types.ts";
import { Authority, type CertificateWish, type Pair } from "../../certificates.ts";
import { until } from "../../program.ts";
import { statusOf, values } from "../messages.ts";
import type { RunningProxy } from "../running-proxy.ts";
import { closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";
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

const tellIdentity = defineFilter({
  name: "tell-identity",
  summary: "Answers with who the caller is",
  options: z.strictObject({}),
  middleware: () => async (c, next) => {
    await next();
    c.header("x-identity", c.env.identity ?? "nobody");
  },
}) as FilterDefinition;
const filters = new Map([...builtIn, [tellIdentity.name, tellIdentity] as const]);

const optionalEntry = provedEntry.replace(" }", ", clientAuth: optional }");
const wish: CertificateWish = { subject: "CN=storefront", uris: ["spiffe://store.example/storefront"] };
const good = await clientAuthority.issue(wish);
const rogue = await rogueAuthority.issue(wish);

async function demanding(entries: readonly string[], more: Record<string, string> = {}) {
  const upstream = await upstreamWith();
  const listener = https(entries, "    filters: [tell-identity]");
  const options = { files: { ...files, ...more }, filters };
  return { upstream, proxy: await proxyTo({ ports: [upstream.port], listener }, options) };
}

/** As whom the caller passes; null when it does not. */
async function identity(proxy: RunningProxy, options: ConnectionOptions, request = get) {
  const client = await TlsCaller.open(proxy.port(), options);
  const answer = await client.exchange(request);
  client.close();
  return statusOf(answer) === 200 ? values(answer, "x-identity").join() : null;
}

/** A session of somebody who passed. */
async function sessionOf(proxy: RunningProxy, options: ConnectionOptions, request = get): Promise<Buffer> {
  const client = await TlsCaller.open(proxy.port(), options);
  expect(statusOf(await client.exchange(request))).toBe(200);
  const session = await client.until("a session", () => client.sessions.at(-1) ?? null);
  client.close();
  return session;
}

const versions = ["TLSv1.2", "TLSv1.3"] as const;
const exactly = (version: (typeof versions)[number]) => ({ minVersion: version, maxVersion: version });

describe("clientCa", () => {
  const rogues: readonly (readonly [what: string, pair: () => Promise<Pair> | null])[] = [
    ["of an authority with the right name and another key", async () => rogue],
    [
      "with the right authority's own certificate behind it",
      async () => ({ ...rogue, certificate: rogue.certificate + clientAuthority.certificate }),
    ],
    ["of the authority that vouches for the listener", () => authority.issue(wish)],
    ["that has expired", () => clientAuthority.issue({ ...wish, startsDays: -9, endsDays: -1 })],
    ["that is not valid yet", () => clientAuthority.issue({ ...wish, startsDays: 1 })],
    ["of somebody who may vouch for nobody", issuedByLeaf],
    ["at all", () => null],
  ];

  /** The right authority vouches for a leaf, and that one for another. */
  async function issuedByLeaf(): Promise<Pair> {
    const between = await rogueAuthority.authority("CN=storefront");
    const made = await between.issue(wish);
    return { ...made, certificate: made.certificate + good.certificate };
  }

  for (const version of versions) {
    for (const [what, make] of rogues) {
      const title = make() === null ? "no certificate" : "a certificate";
      test(`refuses a caller with ${title} ${what}, whatever it is asked, ${version}`, async () => {
        const { proxy, upstream } = await demanding([provedEntry]);
        const pair = await make();
        const options = { ...exactly(version), ...(pair === null ? {} : shown(pair)) };
        for (let count = 0; count < 5; count++) expect(await asked(proxy.port(), options)).toBeNull();
        expect(upstream.requests).toEqual([]);
        expect(proxy.measured).toEqual([]);
        expect(proxy.log[0]!.message).toStartWith("no TLS connection with a caller: ");
        await eventually("all connections to be gone", () => proxy.open.downstream === 0);
      });
    }

    for (const entry of [provedEntry, optionalEntry]) {
      const auth = entry === provedEntry ? "required" : "optional";
      test(`refuses a rogue 100 times of 100, among good callers that all pass, ${auth}, ${version}`, async () => {
        const { proxy, upstream } = await demanding([entry]);
        const right = { ...exactly(version), ...shown(good) };
        const wrong = { ...exactly(version), ...shown(rogue) };
        const session = await sessionOf(proxy, right);
        const before = upstream.requests.length;
        const passed: (number | null)[] = [];
        const refused: (number | null)[] = [];
        for (let round = 0; round < 25; round++) {
          const all = await Promise.all([
            asked(proxy.port(), wrong),
            asked(proxy.port(), right),
            asked(proxy.port(), wrong),
            asked(proxy.port(), { ...right, session }),
            asked(proxy.port(), wrong),
            asked(proxy.port(), wrong),
          ]);
          for (const [index, status] of all.entries())
            (index % 2 === 1 && index < 4 ? passed : refused).push(status);
        }
        expect(refused).toEqual(Array.from({ length: 100 }, () => null));
        expect(passed).toEqual(Array.from({ length: 50 }, () => 200));
        expect(upstream.requests.length - before).toBe(50);
      });
    }

    test(`knows a resumed caller as whom it proved to be before, whatever it shows now, ${version}`, async () => {
      const { proxy } = await demanding([optionalEntry]);
      const proved = await sessionOf(proxy, { ...exactly(version), ...shown(good) });
      const nameless = await sessionOf(proxy, exactly(version));
      for (const pair of [shown(good), shown(rogue), {}]) {
        const options = { ...exactly(version), ...pair };
        expect(await identity(proxy, { ...options, session: proved })).toBe(wish.uris![0]!);
        expect(await identity(proxy, { ...options, session: nameless })).toBe("nobody");
      }
    });

    test(`lets no session of another listener or another name pass, ${version}`, async () => {
      const open = await authority.issue({ names: ["open.example"] });
      const more = { "open.pem": open.certificate, "open.key": open.key };
      const openEntry = "{ certificate: open.pem, key: open.key }";
      const { proxy } = await demanding([provedEntry, openEntry], more);
      const other = await demanding([provedEntry], { "clients.pem": rogueAuthority.certificate });
      const foreign = await sessionOf(other.proxy, { ...exactly(version), ...shown(rogue) });
      const named = { ...exactly(version), servername: "open.example" };
      const session = await sessionOf(proxy, named, get.replace("shop.example", "open.example"));
      for (const each of [foreign, session]) {
        for (const pair of [shown(rogue), {}]) {
          const options = { ...exactly(version), ...pair, session: each, servername: "shop.example" };
          expect(await asked(proxy.port(), options)).toBeNull();
        }
      }
    });
  }

  test("refuses a session whose certificate has expired meanwhile", async () => {
    const { proxy } = await demanding([provedEntry]);
    const brief = await clientAuthority.issue({ ...wish, endsDays: 8 / 86_400 });
    const sessions = versions.map(async (version) => {
      const options = { ...exactly(version), ...shown(brief) };
      return { ...options, session: await sessionOf(proxy, options) };
    });
    const resuming = await Promise.all(sessions);
    for (const options of resuming) expect(await asked(proxy.port(), options)).toBe(200);
    for (const options of resuming) {
      await until(
        () => asked(proxy.port(), options),
        (status) => status === null,
      );
      expect(await asked(proxy.port(), { ...options, session: undefined })).toBeNull();
    }
    expect(proxy.log.map(({ message }) => message).join()).toContain("certificate has expired");
  }, 60_000);

  test("beside clientAuth: optional lets callers without a certificate pass, as nobody", async () => {
    const { proxy } = await demanding([optionalEntry]);
    expect(await identity(proxy, {})).toBe("nobody");
    expect(await identity(proxy, shown(good))).toBe(wish.uris![0]!);
    expect(await asked(proxy.port(), shown(rogue))).toBeNull();
  });

  test("is what callers are asked for: without it their certificates are not", async () => {
    const { proxy } = await demanding([shopEntry]);
    expect(await identity(proxy, shown(good))).toBe("nobody");
    expect(await identity(proxy, shown(rogue))).toBe("nobody");
  });

  test("takes several authorities, and one below another", async () => {
    const between = await clientAuthority.authority("CN=between");
    const made = await between.issue(wish);
    const partners = await Authority.make("CN=partners");
    const partner = await partners.issue(wish);
    const both = { "clients.pem": partners.certificate + clientAuthority.certificate };
    const { proxy } = await demanding([provedEntry], both);
    for (const pair of [good, partner, { ...made, certificate: made.certificate + between.certificate }]) {
      expect(await asked(proxy.port(), shown(pair))).toBe(200);
    }
    expect(await asked(proxy.port(), shown(made))).toBeNull();
  });

  for (const version of versions) {
    test(`tells a caller why it is not let in, and closes, ${version}`, async () => {
      const { proxy } = await demanding([provedEntry]);
      for (const [pair, reason] of [
        [rogue, "certificate-not-believed"],
        [null, "certificate-required"],
      ] as const) {
        const options = { ...exactly(version), ...(pair === null ? {} : shown(pair)) };
        const caller = await TlsCaller.open(proxy.port(), options);
        caller.send(
          `POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\n${"x".repeat(50_000)}`,
        );
        const answer = await caller.answer();
        expect(answer.start).toBe("HTTP/1.1 403 Forbidden");
        expect(values(answer, "x-clearway-reason")).toEqual([reason]);
        expect(answer.body.toString()).toStartWith(`${reason}: this listener `);
        await caller.ended();
      }
    });
  }

  test("goes on refusing a hundred callers that stay after they were told, and lets others in meanwhile", async () => {
    const { proxy } = await demanding([provedEntry]);
    const staying = await Promise.all(
      Array.from({ length: 120 }, () => TlsCaller.open(proxy.port(), shown(rogue))),
    );
    expect(await asked(proxy.port(), shown(good))).toBe(200);
    expect(await asked(proxy.port(), shown(rogue))).toBeNull();
    await eventually("none of them to be a connection of the listener", () => proxy.open.downstream === 0);
    for (const caller of staying) caller.close();
  });

  test("says in the log why a caller did not pass", async () => {
    for (const [pair, words] of [
      [rogue, "its certificate is not believed: certificate signature failure"],
      [await clientAuthority.issue({ ...wish, startsDays: -9, endsDays: -1 }), "certificate has expired"],
      [null, "the other side showed no certificate"],
    ] as const) {
      const { proxy } = await demanding([provedEntry]);
      expect(await asked(proxy.port(), pair === null ? {} : shown(pair))).toBeNull();
      expect(proxy.log).toHaveLength(1);
      expect(proxy.log[0]!.message).toContain(words);
    }
  });
});

describe("the identity", () => {
  test("is the URI, else the first DNS name, else the subject", async () => {
    const { proxy } = await demanding([provedEntry]);
    const rows: readonly (readonly [CertificateWish, string])[] = [
      [
        { subject: "CN=a", uris: ["spiffe://store.example/a"], names: ["a.example"] },
        "spiffe://store.example/a",
      ],
      [{ subject: "CN=a", names: ["B.example", "a.example"] }, "b.example"],
      // RFC 4514 begins with the last part.
      [{ subject: "O=Store,CN=storefront" }, "CN=storefront,O=Store"],
      [{ subject: "CN=a", addresses: ["10.0.0.1"] }, "CN=a"],
      // Names that would pass for two where the list is read as text.
      [
        { subject: "CN=a", names: ["a.example, URI:spiffe://store.example/admin"] },
        "a.example, uri:spiffe://store.example/admin",
      ],
      [{ subject: 'CN="a,O=Store"' }, "CN=a\\,O=Store"],
      [{ subject: "CN=a\\0AO\\=Store" }, "CN=a\\0AO=Store"],
    ];
    for (const [made, wanted] of rows) {
      const found = await identity(proxy, shown(await clientAuthority.issue(made)));
      expect(found).toBe(wanted);
    }
  });
});

describe("a request for another host than the handshake's", () => {
  const asking = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

  async function three() {
    const names = ["open", "mine", "other"];
    const pairs = await Promise.all(names.map((name) => authority.issue({ names: [`${name}.example`] })));
    const more = Object.fromEntries(
      names.flatMap((name, index) => [
        [`${name}.pem`, pairs[index]!.certificate],
        [`${name}.key`, pairs[index]!.key],
      ]),
    );
    const entry = (name: string, rest = "") => `{ certificate: ${name}.pem, key: ${name}.key${rest} }`;
    const entries = [
      entry("open"),
      entry("mine", ", clientCa: clients.pem"),
      entry("other", ", clientCa: rogues.pem"),
    ];
    return demanding(entries, { ...more, "rogues.pem": rogueAuthority.certificate });
  }

  test("is refused with 421 where that one asks for another proof, and on the same connection served where not", async () => {
    const { proxy, upstream } = await three();
    const client = await TlsCaller.open(proxy.port(), { servername: "mine.example", ...shown(good) });
    for (const [host, status] of [
      ["mine.example", 200],
      ["other.example", 421],
      ["OTHER.example:443", 421],
      ["open.example", 200],
      ["unknown.example", 200],
      ["mine.example", 200],
    ] as const) {
      const answer = await client.exchange(asking(host));
      expect([host, statusOf(answer)]).toEqual([host, status]);
      if (status === 421) expect(values(answer, "x-clearway-reason")).toEqual(["misdirected-request"]);
    }
    expect(upstream.requests).toHaveLength(4);
  });

  test("never gives a caller without a proof what asks for one", async () => {
    const { proxy, upstream } = await three();
    for (const servername of ["open.example", "unknown.example", ""]) {
      for (const host of ["mine.example", "other.example"]) {
        expect(await asked(proxy.port(), { servername }, asking(host))).toBe(421);
        const target = `GET http://${host}/ HTTP/1.1\r\nHost: open.example\r\n\r\n`;
        expect(await asked(proxy.port(), { servername }, target)).toBe(421);
      }
    }
    expect(upstream.requests).toEqual([]);
    expect(await asked(proxy.port(), { servername: "mine.example" })).toBeNull();
  });
});
