/** What a config may say of the filters that decide who may: each wrong value is a problem where it stands. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { filters } from "../../src/filters/index.ts";
import { passwordHash } from "../../src/filters/who/password-hash.ts";
import { loadWith, type Texts } from "../config/fixture.ts";
import { root } from "../program.ts";

const digest = "ab".repeat(32);
const web = '{ "kty": "OKP", "crv": "Ed25519", "x": "AA" }';
const jwks = `{ keys: [${web}] }`;

function configOf(entry: string): Texts {
  return {
    "clearway.yaml": `listeners:
  web:
    bind: ":8080"
    routes:
      - filters:
          - ${entry}
        to: orders
services: { orders: { endpoints: ["10.0.0.1:9000"] }, authz: { endpoints: ["10.0.0.2:9000"] } }
`,
    "secret.txt": "from-a-file-hidden-from-all\n",
    "keys.json": `{ "keys": [${web}] }`,
  };
}

/** `line:column path: message`, the path from the filter's name on. */
async function problemsOf(entry: string): Promise<string[]> {
  const { problems } = await loadWith(filters, configOf(entry));
  return problems.map(({ line, column, path, message }) => {
    const inside = String(path).replace("listeners.web.routes[0].filters[0].", "");
    return `${line}:${column} ${inside}: ${message}`;
  });
}

const right = [
  `jwt: { issuer: a, audience: b, jwks: ${jwks} }`,
  "jwt: { issuer: a, audience: [b, c], jwks: file:keys.json, type: at+jwt, require: { scope: [a], x: { present: true } } }",
  "jwt: { issuer: a, audience: b, jwks: 'https://id.example/keys', from: [cookie:t, 'query:t'], headers: { x-user: sub } }",
  "api-key: { keys: { mobile: file:secret.txt }, header: x-caller }",
  `api-key: { keys: { mobile: "sha256:${digest}" } }`,
  `basic-auth: { users: { alice: "pbkdf2:600000:${"ab".repeat(16)}:${digest}", bob: "sha256:saltsalt:${digest}" } }`,
  "hmac: { keys: { a: file:secret.txt.long }, cover: ['@target-uri', date] }",
  "ip-allow: { allow: [10.0.0.0/8, '::1'], deny: [10.1.2.3] }",
  "ext-authz: { service: authz, path: /check, body: 1KiB, failure: allow }",
  "body-limit: { max: 1MiB }",
  "policy: { trustDomain: store.example, allow: [{ from: [storefront, anonymous], method: [GET], path: '/a/*' }], audit: [{ from: '*' }] }",
  "policy: { allow: [{ from: 'spiffe://store.example/storefront' }, { from: anonymous }], default: deny }",
];

const wrong: Record<string, readonly string[]> = {
  jwt: [
    "issuer: cannot find `issuer` here",
    "audience: cannot find `audience` here",
    "jwks: cannot find `jwks` here",
  ],
  "jwt: { issuer: a, audience: [], jwks: 'https://id.example' }": [
    "audience: cannot read an empty list: wanted at least 1 entry",
  ],
  "jwt: { issuer: a, audience: b, jwks: keys.json }": [
    'jwks: cannot read "keys.json": wanted the URL of a key set',
  ],
  "jwt: { issuer: a, audience: b, jwks: ftp://id.example/keys }": ["jwks: cannot read"],
  "jwt: { issuer: a, audience: b, jwks: '{' }": ["jwks: cannot read"],
  "jwt: { issuer: a, audience: b, jwks: { keys: [] } }": [
    "jwks.keys: cannot read an empty list: wanted at least 1 entry",
  ],
  "jwt: { issuer: a, audience: b, jwks: { keys: [{ kty: oct, k: AAAA }] } }": [
    "jwks.keys[0]: cannot read a map: wanted a public key",
  ],
  "jwt: { issuer: a, audience: b, jwks: { keys: [{ kty: OKP, crv: Ed25519, x: AA, d: AA }] } }": [
    "jwks.keys[0]: cannot read a map: wanted a public key: this is a private one",
  ],
  "jwt: { issuer: a, audience: b, jwks: { keys: [{ kty: EC, crv: P-256 }] } }": [
    "jwks.keys[0]: cannot read a map: wanted x, as text, in a key of kty EC",
  ],
  "jwt: { issuer: a, audience: b, jwks: 'https://i', algorithms: [HS256, none] }": [
    'algorithms[0]: cannot read "HS256": wanted RS256',
    'algorithms[1]: cannot read "none": wanted RS256',
  ],
  "jwt: { issuer: a, audience: b, jwks: 'https://i', leeway: 61s, maxAge: 10, cooldown: 0s, timeout: 2m }": [
    'leeway: cannot read "61s": wanted a duration from 0ms to 1m',
    "maxAge: cannot read 10: wanted a duration",
    'cooldown: cannot read "0s": wanted a duration from 1s',
    'timeout: cannot read "2m": wanted a duration',
  ],
  "jwt: { issuer: a, audience: b, jwks: 'https://i', from: body:x, missing: pass, realm: 'a\"b' }": [
    'from: cannot read "body:x": wanted header:NAME, cookie:NAME or query:NAME',
    'missing: cannot read "pass": wanted refuse or allow',
    "realm: cannot read",
  ],
  "jwt: { issuer: a, audience: b, jwks: 'https://i', headers: { host: sub, x-clearway-a: sub } }": [
    'headers.host: cannot change "host"',
    'headers.x-clearway-a: cannot change "x-clearway-a"',
  ],
  "jwt: { issuer: a, audience: b, jwks: 'https://i', require: { a: [], b: { present: false } }, audiences: b }":
    [
      "require.a: cannot read an empty list: wanted at least 1 entry",
      "require.b.present: cannot read false: wanted true",
      'audiences: unknown key "audiences"',
    ],
  "api-key": ["keys: cannot find `keys` here"],
  "api-key: { keys: {} }": ["keys: cannot read an empty map: wanted at least one name"],
  "api-key: { keys: { 'a b': long-enough-to-be-one } }": ['keys["a b"]: cannot call a caller "a b"'],
  "api-key: { keys: { a: short, b: 'with a space in it somewhere', c: 'sha256:abc' } }": [
    'keys.a: cannot read "short": wanted at least 16 characters',
    "keys.b: cannot read",
    'keys.c: cannot read "sha256:abc": wanted 64 hexadecimal digits behind sha256:',
  ],
  "api-key: { keys: { a: long-enough-to-be-one }, from: [], header: connection }": [
    "from: cannot read an empty list",
    'header: cannot change "connection"',
  ],
  "basic-auth: { users: { alice: hunter2 }, remember: 2h }": [
    'users.alice: cannot read "hunter2": wanted the hash of a password, pbkdf2:ITERATIONS:SALT:HASH or sha256:SALT:HASH',
    'remember: cannot read "2h": wanted a duration',
  ],
  [`basic-auth: { users: { alice: "pbkdf2:1000:${"ab".repeat(16)}:${digest}" } }`]: [
    "users.alice: cannot read",
  ],
  "hmac: { keys: { a: too-short, b: 'base64:%' }, cover: ['@status', X-Upper], window: 2h, body: none }": [
    'keys.a: cannot read "too-short": wanted at least 32 bytes',
    'keys.b: cannot read "base64:%": wanted base64 behind base64:',
    'cover[0]: cannot read "@status": wanted the name of a header in lower case, or one of @method',
    'cover[1]: cannot read "X-Upper": wanted the name of a header in lower case',
    'body: cannot read "none": wanted signed or unsigned',
    'window: cannot read "2h": wanted a duration',
  ],
  "policy: { allow: [{ from: storefront }, { from: ['*', payments] }] }": [
    'allow[0].from: cannot read "storefront": wanted trustDomain beside it, or spiffe://DOMAIN/storefront',
    "allow[1].from: cannot read",
  ],
  "policy: { trustDomain: Store, allow: [{ from: Storefront }], audit: [{ from: 'spiffe://a/b/c' }, { from: [] }] }":
    [
      'trustDomain: cannot read "Store": wanted a name such as store.example',
      'allow[0].from: cannot read "Storefront": wanted the name of a service',
      'audit[0].from: cannot read "spiffe://a/b/c": wanted the name of a service',
      "audit[1].from: cannot read",
    ],
  "policy: { allow: [{ method: get, path: a }], default: ask, deny: [] }": [
    "allow[0].from: cannot find `from` here",
    "allow[0].method: cannot read",
    'allow[0].path: cannot read "a": wanted a path that begins with /',
    'default: cannot read "ask": wanted deny or allow',
    'deny: unknown key "deny"',
  ],
  "ip-allow": ["ip-allow: cannot read an empty map: wanted allow, deny, or both"],
  "ip-allow: { allow: [10.0.0.1/8, 10.0.0.0/33, shop.example, 5] }": [
    'allow[0]: cannot read "10.0.0.1/8": wanted only zeros behind the first 8 bits',
    'allow[1]: cannot read "10.0.0.0/33": wanted a length from 0 to 32 behind the slash',
    'allow[2]: cannot read "shop.example": wanted an address or a network',
    "allow[3]: cannot read 5: wanted an address or a network",
  ],
  "ext-authz: { service: autz }": ['service: unknown service "autz"'],
  "ext-authz: { service: authz, path: check, failure: open, timeout: 2m, body: 9MiB, send: [host] }": [
    'path: cannot read "check": wanted a path, such as /check',
    'send[0]: cannot change "host"',
    'body: cannot read "9MiB": wanted a size',
    'timeout: cannot read "2m": wanted a duration',
    'failure: cannot read "open": wanted deny or allow',
  ],
  "body-limit: { max: 100 }": ["max: cannot read 100: wanted a size"],
  "body-limit": ["max: cannot find `max` here"],
};

describe("the options of filters that decide who may", () => {
  test.each(right)("take %s", async (entry) => {
    const texts = { ...configOf(entry), "secret.txt.long": "k".repeat(32) };
    const { problems, resolved } = await loadWith(filters, texts);
    expect(problems).toEqual([]);
    expect(JSON.stringify(resolved)).not.toContain("hidden-from-all");
    if (/(keys|users): \{ \w+: "/.test(entry)) expect(JSON.stringify(resolved)).not.toContain(digest);
  });

  for (const [entry, wanted] of Object.entries(wrong)) {
    test(`refuse ${entry}`, async () => {
      const [name = ""] = entry.split(":", 1);
      const found = await problemsOf(entry);
      expect(found.map((text) => text.replace(/^6:\d+ ([a-z-]+\.)?/, "")).sort()).toEqual(
        [...wanted].sort().map((start) => expect.stringContaining(start)),
      );
      for (const text of found) expect(text).toMatch(new RegExp(`^6:\\d+ ${name}`));
    });
  }
});

const python = Bun.which("python3");
const runs = "docs/filters.md makes hashes of passwords with one command";
const missing = "skipped: needs python3 (apt-get install python3)";
test.skipIf(python === null)(python === null ? missing : runs, async () => {
  const command = /^python3 -c .*$/m.exec(readFileSync(join(root, "docs/filters.md"), "utf8"))![0];
  const made = Bun.spawnSync(["sh", "-c", `echo 'correct horse' | ${command}`], { stderr: "ignore" });
  const text = made.stdout.toString().trim().split("\n").at(-1)!;
  const hash = passwordHash(text);
  expect([await hash.matches("correct horse"), await hash.matches("correct  horse")]).toEqual([true, false]);
});
