import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { base64url, decodeJwt, generateKeyPair, SignJWT } from "jose";
import { requestCertificate } from "../../../src/certificate-request.ts";
import { Issuing } from "../../../src/coordinator/identity/issuing.ts";
import { Tokens } from "../../../src/coordinator/identity/tokens.ts";
import { MemoryStore } from "../../../src/coordinator/store/memory.ts";
import { openSqliteStore } from "../../../src/coordinator/store/sqlite.ts";
import type { Store } from "../../../src/coordinator/store/store.ts";
import { openDatabase } from "../../../src/host/database/node.ts";
import { systemRandom } from "../../../src/host/random/node.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { dayMs, makeAuthority, reasonOf, setBack } from "./parts.ts";

const wish = { trustDomain: "store.example", service: "payments", ttlMs: 600_000, uses: 1 };
const random = systemRandom();

async function makeTokens(
  store: Store = new MemoryStore(),
  clock = new VirtualClock(),
  rootFingerprint = "root-of-this-mesh",
) {
  const tokens = await Tokens.open({ store, clock, random, rootFingerprint });
  return {
    tokens,
    store,
    clock,
    check: (token: string) => reasonOf(tokens.checkJoin(token, wish.trustDomain)),
  };
}

/** The token with one part replaced. */
function changed(token: string, part: 0 | 1 | 2, change: (text: string) => string): string {
  return token
    .split(".")
    .map((text, index) => (index === part ? change(text) : text))
    .join(".");
}

function json(text: string, change: (value: Record<string, unknown>) => object): string {
  const value = JSON.parse(new TextDecoder().decode(base64url.decode(text))) as Record<string, unknown>;
  return base64url.encode(JSON.stringify({ ...value, ...change(value) }));
}

describe("join token", () => {
  test("token says for which service, how long, how often, and whom to believe", async () => {
    const { tokens, clock } = await makeTokens();
    const { token, expiresEpochMs } = await tokens.createJoin({ ...wish, uses: 3 });
    const { iss, sub, aud, root, uses, exp } = decodeJwt(token);
    expect({ iss, sub, aud, root, uses }).toEqual({
      iss: "store.example",
      sub: "payments",
      aud: "clearway-join",
      root: "root-of-this-mesh",
      uses: 3,
    });
    expect(exp! * 1000).toBe(expiresEpochMs);
    expect(expiresEpochMs - clock.epochMs()).toBe(600_000);
    const grant = await tokens.checkJoin(token, "store.example");
    expect(grant).toMatchObject({ service: "payments", uses: 3, expiresEpochMs });
  });

  test("token holds until it expires, with five seconds between clocks", async () => {
    const { tokens, clock, check } = await makeTokens();
    const { token } = await tokens.createJoin(wish);
    clock.advance(604_000);
    expect(await check(token)).toBe("none");
    clock.advance(1000);
    expect(await check(token)).toBe("token-expired");
  });

  test("token that was changed anywhere is refused", async () => {
    const { tokens, check } = await makeTokens();
    const { token } = await tokens.createJoin(wish);
    const header = (change: object) => changed(token, 0, (text) => json(text, () => change));
    const claims = (change: object) => changed(token, 1, (text) => json(text, () => change));
    for (const change of [{ sub: "accounts" }, { uses: 1000 }, { exp: 9_999_999_999 }, { jti: "other" }]) {
      expect(await check(claims(change))).toBe("token-forged");
    }
    expect(await check(header({ kid: "other" }))).toBe("token-forged");
    const [first = "", second = ""] = token.split(".");
    const none = changed(`${first}.${second}.`, 0, (text) => json(text, () => ({ alg: "none" })));
    expect(await check(none)).toBe("token-forged");
    for (const alg of ["HS256", "ES384", "RS256", "nOnE"]) {
      expect(await check(header({ alg }))).toBe("token-forged");
    }
    for (let at = 0; at < 86; at += 7) {
      const flip = (text: string) => text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
      expect(await check(changed(token, 2, flip))).toBe("token-forged");
    }
    expect(await check(token)).toBe("none");
  });

  test("token that anybody signed with another key is refused, also with the right kid", async () => {
    const { tokens, check, clock } = await makeTokens();
    const { token } = await tokens.createJoin(wish);
    const { privateKey } = await generateKeyPair("ES256");
    const { kid } = JSON.parse(new TextDecoder().decode(base64url.decode(token.split(".")[0]!))) as {
      kid: string;
    };
    const forged = await new SignJWT(decodeJwt(token))
      .setProtectedHeader({ alg: "ES256", kid })
      .sign(privateKey);
    expect(await check(forged)).toBe("token-forged");
    // The public key, or any text, as the secret of a symmetric signature.
    const secret = new TextEncoder().encode(kid);
    const symmetric = await new SignJWT(decodeJwt(token))
      .setProtectedHeader({ alg: "HS256", kid })
      .sign(secret);
    expect(await check(symmetric)).toBe("token-forged");
    expect(clock.epochMs()).toBeGreaterThan(0);
  });

  test("token of another mesh, or of another trust domain, is refused as such", async () => {
    const { tokens, check, store, clock } = await makeTokens();
    const other = await makeTokens(new MemoryStore(), clock, "root-of-another-mesh");
    expect(await check((await other.tokens.createJoin(wish)).token)).toBe("token-foreign");
    const { token } = await tokens.createJoin({ ...wish, trustDomain: "other.example" });
    expect(await check(token)).toBe("token-foreign");
    // Same root, other key: a store that was made anew below the same authority.
    const anew = await makeTokens(new MemoryStore(), clock);
    expect(await check((await anew.tokens.createJoin(wish)).token)).toBe("token-forged");
    expect(await store.readSecret("tokens")).not.toBeNull();
  });

  test("what is no token, or one for something else, is refused", async () => {
    const { tokens, check } = await makeTokens();
    const { token } = await tokens.createJoin(wish);
    for (const text of [
      "",
      "hello",
      "a.b.c",
      token.slice(0, 60),
      token.replaceAll(".", ""),
      "x".repeat(9000),
    ]) {
      expect(await check(text)).toBe("token-malformed");
    }
    const operator = await tokens.createOperator("maria");
    expect(await check(operator)).toBe("token-purpose");
    expect(await reasonOf(tokens.checkOperator(token))).toBe("token-purpose");
    expect(await tokens.checkOperator(operator)).toBe("maria");
  });

  test("tokens outlive a restart of the coordinator", async () => {
    const { tokens, store, clock } = await makeTokens();
    const [{ token }, operator] = [await tokens.createJoin(wish), await tokens.createOperator("maria")];
    const next = await makeTokens(store, clock);
    expect(await next.check(token)).toBe("none");
    expect(await next.tokens.checkOperator(operator)).toBe("maria");
  });

  test("tokens hold no more after a rotation, of either kind, also after a restart; new ones do", async () => {
    const { tokens, store, clock, check } = await makeTokens();
    const [{ token }, operator] = [await tokens.createJoin(wish), await tokens.createOperator("maria")];
    await tokens.rotate();
    const [{ token: next }, nextOperator] = [
      await tokens.createJoin(wish),
      await tokens.createOperator("maria"),
    ];
    const restarted = await makeTokens(store, clock);
    for (const one of [{ tokens, check }, restarted]) {
      expect(await one.check(token)).toBe("token-forged");
      expect(await reasonOf(one.tokens.checkOperator(operator))).toBe("token-forged");
      expect(await one.check(next)).toBe("none");
      expect(await one.tokens.checkOperator(nextOperator)).toBe("maria");
    }
  });

  test("a clock that is set back makes no used token new", async () => {
    const { tokens, store, clock } = await makeTokens();
    const { token } = await tokens.createJoin(wish);
    await tokens.use(await tokens.checkJoin(token, wish.trustDomain), "first");
    clock.advance(700_000);
    // Others come and go, and what is forgotten is forgotten with them.
    const { token: next } = await tokens.createJoin(wish);
    await tokens.use(await tokens.checkJoin(next, wish.trustDomain), "next");
    const parts = { store, clock: setBack(clock, 700_000), random, rootFingerprint: "root-of-this-mesh" };
    const earlier = await Tokens.open(parts);
    const grant = await earlier.checkJoin(token, wish.trustDomain);
    expect(await reasonOf(earlier.use(grant, "second"))).toBe("token-used-up");
  });
});

const folder = mkdtempSync(join(tmpdir(), "clearway-tokens-"));
const stores: Readonly<Record<string, () => Promise<Store>>> = {
  memory: async () => new MemoryStore(),
  sqlite: () => openSqliteStore(openDatabase, join(folder, "coordinator.sqlite")),
};

async function makeIssuing(store: Store, removed: readonly string[] = []) {
  const { authority, clock } = await makeAuthority({ store });
  const { rootFingerprint } = authority;
  const tokens = await Tokens.open({ store, clock, random, rootFingerprint });
  const isRemoved = (service: string) => removed.includes(service);
  const issuing = new Issuing({ authority, tokens, store, clock, trustDomain: wish.trustDomain, isRemoved });
  return { issuing, clock };
}

describe("joining", () => {
  for (const [name, open] of Object.entries(stores)) {
    test(`token for three is good for exactly three of 50 nodes at once, with the store in ${name}`, async () => {
      const store = await open();
      const { issuing } = await makeIssuing(store);
      const { token } = await issuing.createToken({ service: "payments", ttlMs: 60_000, uses: 3 });
      const requests = await Promise.all(Array.from({ length: 50 }, () => requestCertificate()));
      const reasons = await Promise.all(
        requests.map(({ request }) => reasonOf(issuing.join({ token, request }))),
      );
      expect(reasons.filter((reason) => reason === "none").length).toBe(3);
      expect(reasons.filter((reason) => reason === "token-used-up").length).toBe(47);
      expect((await issuing.identities()).length).toBe(3);
      await store.close();
      if (name === "sqlite") rmSync(folder, { recursive: true });
    });
  }

  test("node gets the identity that the token names, and a renewal that of its certificate", async () => {
    const { issuing, clock } = await makeIssuing(new MemoryStore());
    const { token } = await issuing.createToken({ service: "payments", ttlMs: 60_000, uses: 1 });
    const { request } = await requestCertificate();
    expect((await issuing.join({ token, request })).identity).toBe("spiffe://store.example/payments");
    expect(await reasonOf(issuing.join({ token, ...(await requestCertificate()) }))).toBe("token-used-up");
    clock.advance(dayMs / 2);
    const renewed = await issuing.renew("payments", { request, node: "node-1" });
    expect((await issuing.identities()).map(({ node }) => node).toSorted()).toEqual(["node-1", null]);
    expect(renewed.identity).toBe("spiffe://store.example/payments");
    expect(renewed.expiresEpochMs).toBe(clock.epochMs() + dayMs);
  });

  test("node that did not hear the answer joins again with the same request, and uses the token once", async () => {
    const { issuing } = await makeIssuing(new MemoryStore());
    const { token } = await issuing.createToken({ service: "payments", ttlMs: 60_000, uses: 2 });
    const { request } = await requestCertificate();
    for (let tries = 0; tries < 5; tries += 1) {
      expect(await reasonOf(issuing.join({ token, request }))).toBe("none");
    }
    expect(await reasonOf(issuing.join({ token, ...(await requestCertificate()) }))).toBe("none");
    expect(await reasonOf(issuing.join({ token, ...(await requestCertificate()) }))).toBe("token-used-up");
  });

  test("a request that is refused uses up nothing of the token", async () => {
    const { issuing } = await makeIssuing(new MemoryStore());
    const { token } = await issuing.createToken({ service: "payments", ttlMs: 60_000, uses: 1 });
    expect(await reasonOf(issuing.join({ token, request: "hello" }))).toBe("request-damaged");
    const { request } = await requestCertificate();
    expect(await reasonOf(issuing.join({ token, request }))).toBe("none");
  });

  test("nobody can be a service that was removed", async () => {
    const store = new MemoryStore();
    const before = await makeIssuing(store);
    const { token } = await before.issuing.createToken({ service: "payments", ttlMs: 60_000, uses: 5 });
    const { request } = await requestCertificate();
    await before.issuing.join({ token, request });
    const { issuing } = await makeIssuing(store, ["payments"]);
    expect(await reasonOf(issuing.join({ token, request }))).toBe("identity-removed");
    expect(await reasonOf(issuing.renew("payments", { request }))).toBe("identity-removed");
    const tokenWish = { service: "payments", ttlMs: 60_000, uses: 1 };
    expect(await reasonOf(issuing.createToken(tokenWish))).toBe("identity-removed");
    expect((await issuing.identities()).map(({ removed }) => removed)).toEqual([true]);
  });
});
