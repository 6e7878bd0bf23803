/** Certificates, keys and authorities that a config names: what is taken, what is refused and how, what never shows. */
import { describe, expect, test } from "bun:test";
import { loadConfig } from "../../src/config/load.ts";
import { Authority, type Pair } from "../certificates.ts";
import { onlyFilters } from "../found-filters.ts";
import { filesOf, filters, host, load, type Texts } from "./fixture.ts";

const authority = await Authority.make("CN=servers");
const good = await authority.issue({ names: ["shop.example", "*.shop.example"] });
const other = await authority.issue({ names: ["other.example"] });
const between = await authority.authority("CN=between");
const below = await between.issue({ names: ["shop.example"] });

function texts(tls: string, files: Texts, service = ""): Texts {
  return {
    "clearway.yaml": `listeners:
  web:
    bind: ":8443"
    protocol: https
    tls: ${tls}
services:
  orders: { endpoints: ["10.0.0.1:9000"]${service} }
`,
    "tls/cert.pem": good.certificate,
    "tls/key.pem": good.key,
    "tls/clients.pem": authority.certificate,
    ...files,
  };
}

const entry = "{ certificate: tls/cert.pem, key: tls/key.pem }";

async function problems(tls: string, files: Texts = {}, service = "") {
  const { problems: found, snapshot } = await load(texts(tls, files, service));
  expect(snapshot === null).toBe(found.length > 0);
  return found.map(({ line, path, message, hints }) => ({ line, path, message, hints }));
}

const messages = async (...given: Parameters<typeof problems>) =>
  (await problems(...given)).map(({ message }) => message);

const pair = ({ certificate, key }: Pair): Texts => ({ "tls/cert.pem": certificate, "tls/key.pem": key });

describe("a certificate and its key", () => {
  test("become part of the snapshot, with the names and the end of the first", async () => {
    const brief = await between.issue({ names: ["Shop.example"], addresses: ["127.0.0.1"], endsDays: 3 });
    const chain = { certificate: brief.certificate + between.certificate, key: brief.key };
    const { snapshot } = await load(texts(`[${entry}]`, pair(chain)));
    const [made] = snapshot!.listeners[0]!.tls;
    expect(made).toMatchObject({
      ...chain,
      files: { certificate: "tls/cert.pem", key: "tls/key.pem" },
      names: ["shop.example", "127.0.0.1"],
      clientCa: null,
      versionMin: "1.2",
      place: { file: "clearway.yaml", line: 5 },
    });
    const leftDays = (made!.expiresEpochMs - Date.now()) / 86_400_000;
    expect(leftDays).toBeGreaterThan(2.9);
    expect(leftDays).toBeLessThan(3.1);
  });

  test("are read beside the file that names them", async () => {
    const { "tls/cert.pem": certificate, "tls/key.pem": key, ...rest } = texts(`[${entry}]`, {});
    const inner = rest["clearway.yaml"]!;
    const { snapshot } = await load({
      "clearway.yaml": "include: [conf.d/*.yaml]",
      "conf.d/web.yaml": inner,
      "conf.d/tls/cert.pem": certificate!,
      "conf.d/tls/key.pem": key!,
    });
    expect(snapshot!.listeners[0]!.tls[0]!.files.key).toBe("conf.d/tls/key.pem");
  });

  test("are what is watched with the config, also when they are missing or wrong", async () => {
    const { files } = await load(texts(`[${entry}, { certificate: gone.pem, key: gone.key }]`, {}));
    expect(files.toSorted()).toEqual([
      "clearway.yaml",
      "gone.key",
      "gone.pem",
      "tls/cert.pem",
      "tls/key.pem",
    ]);
  });

  test("may be of RSA, of other curves, and in the older forms of PEM", async () => {
    const rsa = await (await Authority.make("CN=rsa", "rsa")).issue({ names: ["shop.example"] });
    expect(await problems(`[${entry}]`, pair(rsa))).toEqual([]);
    const crLf = pair({ certificate: good.certificate.replaceAll("\n", "\r\n"), key: `notes\n${good.key}` });
    expect(await problems(`[${entry}]`, crLf)).toEqual([]);
  });

  const wrong: readonly (readonly [what: string, files: Texts, message: string, hint?: string])[] = [
    [
      "the key belongs to another certificate",
      { "tls/key.pem": other.key },
      'cannot use "tls/key.pem": it is not the key of the certificate in "tls/cert.pem"',
      "when the two are being replaced, they are read again as soon as the second is saved",
    ],
    [
      "the chain begins with an authority",
      pair({ certificate: between.certificate + below.certificate, key: below.key }),
      'cannot use "tls/key.pem": it is not the key of the first certificate in "tls/cert.pem"',
      "it is the key of number 2: wanted that one first, then what leads to its root",
    ],
    [
      "the certificate is empty",
      { "tls/cert.pem": "" },
      'cannot use "tls/cert.pem": there is no -----BEGIN CERTIFICATE----- in it',
    ],
    [
      "the key is empty",
      { "tls/key.pem": "" },
      'cannot use "tls/key.pem": there is no -----BEGIN PRIVATE KEY----- in it',
    ],
    [
      "the two are swapped",
      pair({ certificate: good.key, key: good.certificate }),
      'cannot use "tls/cert.pem": there is no -----BEGIN CERTIFICATE----- in it',
    ],
    [
      "the certificate is cut off",
      { "tls/cert.pem": good.certificate.slice(0, -60) },
      'cannot use "tls/cert.pem": there is no -----BEGIN CERTIFICATE----- in it',
    ],
    [
      "the second of the chain is damaged",
      { "tls/cert.pem": good.certificate + between.certificate.replace(/\n.{8}/, "\n") },
      'cannot use "tls/cert.pem": certificate 2 in it is damaged',
    ],
    [
      "the key is damaged",
      { "tls/key.pem": good.key.replace(/\n.{8}/, "\n") },
      'cannot use "tls/key.pem": the key in it is damaged, or of a kind that is not known',
    ],
    [
      "the key is encrypted",
      { "tls/key.pem": good.key.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY") },
      'cannot use "tls/key.pem": it is encrypted; wanted a key without a passphrase',
    ],
    [
      "the key is encrypted in the older way",
      {
        "tls/key.pem":
          "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n",
      },
      'cannot use "tls/key.pem": it is encrypted; wanted a key without a passphrase',
    ],
    [
      "the file is longer than any",
      { "tls/cert.pem": good.certificate + "x".repeat(1 << 20) },
      'cannot read "tls/cert.pem": it is longer than 1048576 characters',
    ],
  ];
  for (const [what, files, message, hint] of wrong) {
    test(`are refused when ${what}`, async () => {
      const found = await problems(`[${entry}]`, files);
      expect(found[0]).toMatchObject({ line: 5, message });
      if (hint !== undefined) expect(found[0]!.hints).toEqual([hint]);
      expect(found).toHaveLength(1);
    });
  }

  test("are refused before and after their time, and with a chain that has ended", async () => {
    const names = ["shop.example"];
    const past = await authority.issue({ subject: "CN=past", names, startsDays: -9, endsDays: -1 });
    const future = await authority.issue({ subject: "CN=future", names, startsDays: 1 });
    const [ended] = await messages(`[${entry}]`, pair(past));
    expect(ended).toMatch(
      /^cannot use "tls\/cert.pem": the certificate of CN=past ended at 20\d\d-\d\d-\d\dT[\d:]+Z$/,
    );
    const [early] = await messages(`[${entry}]`, pair(future));
    expect(early).toMatch(
      /^cannot use "tls\/cert.pem": the certificate of CN=future begins at 20\d\d-\d\d-\d\dT/,
    );
    const chain = { certificate: good.certificate + past.certificate, key: good.key };
    expect(await messages(`[${entry}]`, pair(chain))).toEqual([ended!]);
  });

  test("that cannot be read are said so, each at its place, beside all other problems", async () => {
    const list = `[${entry}, { certificate: gone.pem, key: gone.key }]`;
    const found = await problems(list, {}, ", connectTimeout: 1s");
    expect(found.map(({ line, path, message }) => [line, path, message])).toEqual([
      [5, "listeners.web.tls[1].certificate", 'cannot read "gone.pem": it is not there'],
      [5, "listeners.web.tls[1].key", 'cannot read "gone.key": it is not there'],
      [7, "services.orders.connectTimeout", expect.stringContaining("connectTimeout")],
    ]);
  });
});

describe("a file that the host cannot read", () => {
  const rows = [
    ["EACCES", "EACCES: permission denied, open '/srv/tls/key.pem'", "this program may not read it"],
    ["EISDIR", "EISDIR: illegal operation on a directory, read", "it is a folder"],
    ["ENAMETOOLONG", "ENAMETOOLONG: name too long, open '-----BEGIN'", "its name is too long"],
    ["EIO", "EIO: i/o error, read '/srv/tls/key.pem'", "EIO: i/o error"],
  ] as const;
  for (const [code, message, reason] of rows) {
    test(`is a problem that says why, and the path as it was written: ${code}`, async () => {
      const files = filesOf(texts(`[${entry}]`, {}));
      const failing = {
        ...files,
        read: (path: string) =>
          path === "tls/key.pem"
            ? Promise.reject(Object.assign(new Error(message), { code }))
            : files.read(path),
      };
      const options = {
        file: "clearway.yaml",
        findFilters: onlyFilters(filters),
        environment: {},
        version: 1,
      };
      const { problems: found } = await loadConfig({ ...host, ...options, files: failing });
      expect(found.map((problem) => problem.message)).toEqual([`cannot read "tls/key.pem": ${reason}`]);
    });
  }
});

describe("tls of a listener", () => {
  test("is demanded by https and refused by http", async () => {
    expect(await messages("[]")).toEqual([
      "cannot serve https without a certificate: wanted `tls` with a certificate and its key",
    ]);
    const plain = texts(`[${entry}]`, {});
    const text = plain["clearway.yaml"]!.replace("protocol: https", "protocol: http");
    const { problems: found } = await load({ ...plain, "clearway.yaml": text });
    expect(found.map(({ message }) => message)).toEqual([
      "cannot use certificates with protocol http: wanted protocol: https",
    ]);
  });

  test("wants authorities beside clientAuth, and reads them", async () => {
    expect(await messages(`[{ certificate: tls/cert.pem, key: tls/key.pem, clientAuth: optional }]`)).toEqual(
      ["cannot ask for client certificates that nobody vouches for: wanted clientCa beside clientAuth"],
    );
    const asking = "[{ certificate: tls/cert.pem, key: tls/key.pem, clientCa: tls/clients.pem }]";
    const { snapshot } = await load(texts(asking, {}));
    expect(snapshot!.listeners[0]!.tls[0]).toMatchObject({
      clientCa: authority.certificate,
      clientCaFile: "tls/clients.pem",
      clientAuth: "required",
    });
    expect(await messages(asking, { "tls/clients.pem": "none" })).toEqual([
      'cannot use "tls/clients.pem": there is no -----BEGIN CERTIFICATE----- in it',
    ]);
  });

  test("wants both a certificate and a key, and known versions", async () => {
    expect(await messages("[{ certificate: tls/cert.pem }]")).toEqual([expect.stringContaining("key")]);
    expect(await messages("[{ key: tls/key.pem }]")).toEqual([expect.stringContaining("certificate")]);
    expect(await messages(`[${entry.replace(" }", ", minVersion: 1.1 }")}]`)).toEqual([
      "cannot read 1.1: wanted 1.2 or 1.3",
    ]);
    for (const version of ["1.3", '"1.3"']) {
      const { snapshot } = await load(texts(`[${entry.replace(" }", `, minVersion: ${version} }`)}]`, {}));
      expect(snapshot!.listeners[0]!.tls[0]!.versionMin).toBe("1.3");
    }
  });
});

describe("tls of a service", () => {
  const service = (tls: string) => problems(`[${entry}]`, {}, `, tls: ${tls}`);

  test("takes what it needs, and nothing", async () => {
    expect(await service("{}")).toEqual([]);
    expect(await service("{ ca: tls/clients.pem, serverName: orders.internal }")).toEqual([]);
    expect(await service("{ certificate: tls/cert.pem, key: tls/key.pem, verification: none }")).toEqual([]);
  });

  test("refuses a certificate without its key, unknown authorities and odd names", async () => {
    const said = async (tls: string) => (await service(tls)).map(({ path, message }) => [path, message]);
    expect(await said("{ certificate: tls/cert.pem }")).toEqual([
      ["services.orders.tls.certificate", "cannot use this alone: wanted `key` beside it"],
    ]);
    expect(await said("{ ca: tls/key.pem }")).toEqual([
      ["services.orders.tls.ca", 'cannot use "tls/key.pem": there is no -----BEGIN CERTIFICATE----- in it'],
    ]);
    expect(await said('{ serverName: "*.internal" }')).toEqual([
      [
        "services.orders.tls.serverName",
        'cannot read "*.internal": wanted a host name such as orders.internal',
      ],
    ]);
    expect(await said("{ verification: off }")).toEqual([
      ["services.orders.tls.verification", expect.stringContaining("wanted full or none")],
    ]);
  });
});

describe("private keys", () => {
  const secret = good.key.split("\n")[1]!;
  const whole = `[${entry}, { certificate: tls/other.pem, key: tls/other.key }]`;
  const files = { "tls/other.pem": other.certificate, "tls/other.key": other.key };

  test("are in the snapshot alone, not in the resolved config", async () => {
    const service = ", tls: { certificate: tls/cert.pem, key: tls/key.pem }";
    const { snapshot, resolved } = await load(texts(whole, files, service));
    expect(JSON.stringify(snapshot)).toContain(secret);
    const shown = JSON.stringify(resolved);
    expect(shown).not.toContain("-----");
    for (const text of [good.key, other.key, good.certificate])
      expect(shown).not.toContain(text.slice(60, 90));
    expect(resolved).toMatchObject({
      listeners: {
        web: { tls: [{ certificate: "tls/cert.pem", key: "tls/key.pem", minVersion: "1.2" }, {}] },
      },
    });
  });

  test("are in no problem, whatever is wrong", async () => {
    const wrong: Texts[] = [
      { "tls/cert.pem": good.key, "tls/key.pem": good.certificate },
      { "tls/cert.pem": good.certificate + good.key, "tls/key.pem": other.key },
      { "tls/key.pem": good.key.slice(0, -20) },
      { "tls/clients.pem": good.key },
    ];
    const asking = "[{ certificate: tls/cert.pem, key: tls/key.pem, clientCa: tls/clients.pem }]";
    for (const each of wrong) {
      const { problems: found } = await load(texts(asking, each));
      expect(found).not.toBeEmpty();
      expect(JSON.stringify(found)).not.toContain(secret);
    }
  });
});
