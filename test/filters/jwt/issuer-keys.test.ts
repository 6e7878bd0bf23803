import { describe, expect, test } from "bun:test";
import jwt from "../../../src/filters/jwt.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { headerOf, type RealChain, realChain } from "../real-chain.ts";
import {
  bearer,
  goodClaims,
  issuer,
  jwksUrl,
  KeyServer,
  type SigningKey,
  signed,
  signingKey,
} from "./issuer.ts";

const old = await signingKey("ES256", "old");
const next = await signingKey("ES256", "next");
const soon = { exp: Number(goodClaims.exp) + 10 * 24 * 3600 };
const byOld = await signed(old, soon);
const byNext = await signed(next, soon);
const minuteMs = 60_000;

function world(keys: readonly SigningKey[], more: object = {}) {
  const clock = new VirtualClock();
  const server = new KeyServer(keys);
  const options = { issuer, audience: "shop", jwks: jwksUrl, ...more };
  const chain = realChain(jwt, options, { clock, fetch: server.fetch });
  return { clock, server, chain, options };
}

const statusOf = async (chain: RealChain, token: string) => (await chain.send(bearer(token))).status;
const away = () => Promise.reject(new Error("connection refused"));

describe("jwks", () => {
  test("is downloaded when the first token comes, once for many, and not again while it is fresh", async () => {
    const { clock, server, chain } = world([old]);
    expect(server.downloads).toBe(0);
    const answers = await Promise.all(Array.from({ length: 20 }, () => statusOf(chain, byOld)));
    expect(new Set(answers)).toEqual(new Set([200]));
    clock.advance(10 * minuteMs - 1);
    expect(await statusOf(chain, byOld)).toBe(200);
    expect(server.downloads).toBe(1);
  });

  test("is downloaded again after its lifetime, while requests go on with what is known", async () => {
    const { clock, server, chain } = world([old]);
    await statusOf(chain, byOld);
    clock.advance(10 * minuteMs);
    const gate = Promise.withResolvers<Response>();
    server.answer = () => gate.promise;
    expect(await statusOf(chain, byOld)).toBe(200);
    expect(server.downloads).toBe(2);
    gate.resolve(KeyServer.keys([next]));
    await until(async () => (await statusOf(chain, byOld)) === 401);
    expect(await statusOf(chain, byNext)).toBe(200);
  });

  test("that was not looked at for two lifetimes is not believed before the next one came", async () => {
    const { clock, server, chain } = world([old]);
    await statusOf(chain, byOld);
    clock.advance(20 * minuteMs);
    server.answer = () => KeyServer.keys([next]);
    expect(await statusOf(chain, byOld)).toBe(401);
  });

  test("lives as long as its Cache-Control says, between a minute and maxAge", async () => {
    for (const [cacheControl, lifetimeMs] of [
      ["public, max-age=120", 2 * minuteMs],
      ["max-age=0", minuteMs],
      ["no-store", 10 * minuteMs],
      ["max-age=999999999", 10 * minuteMs],
    ] as const) {
      const { clock, server, chain } = world([old]);
      server.answer = () => KeyServer.keys([old], { "cache-control": cacheControl });
      await statusOf(chain, byOld);
      clock.advance(lifetimeMs - 1);
      await statusOf(chain, byOld);
      expect([cacheControl, server.downloads]).toEqual([cacheControl, 1]);
      clock.advance(1);
      await statusOf(chain, byOld);
      expect([cacheControl, server.downloads]).toEqual([cacheControl, 2]);
    }
  });

  test("is downloaded for an unknown key, but not for each within the cooldown", async () => {
    const { clock, server, chain } = world([old]);
    await statusOf(chain, byOld);
    server.answer = () => KeyServer.keys([old, next]);
    expect(await statusOf(chain, byNext)).toBe(401);
    expect(server.downloads).toBe(1);
    clock.advance(30_000);
    expect(await statusOf(chain, byNext)).toBe(200);
    for (let i = 0; i < 20; i++) {
      const unknown = await signed({ ...next, kid: `made-up-${i}` }, soon);
      expect(await statusOf(chain, unknown)).toBe(401);
    }
    expect(server.downloads).toBe(2);
  });

  test("stays in use while the issuer is away, which is said once and counted", async () => {
    const { clock, server, chain } = world([old]);
    await statusOf(chain, byOld);
    server.answer = away;
    for (let hour = 0; hour < 48; hour++) {
      clock.advance(60 * minuteMs);
      expect(await statusOf(chain, byOld)).toBe(200);
    }
    expect(chain.parts.logged.map(({ message }) => message)).toEqual([
      "cannot download the issuer's keys: connection refused; the last ones stay in use",
    ]);
    expect(chain.counted("jwks_downloads failed")).toBeGreaterThan(40);
    server.answer = () => KeyServer.keys([next]);
    clock.advance(minuteMs);
    expect(await statusOf(chain, byNext)).toBe(200);
    expect(chain.parts.logged).toHaveLength(2);
    expect(chain.counted("jwks_downloads ok")).toBe(2);
  });

  test("that was never there refuses with 503, and is asked for ever more rarely", async () => {
    const { clock, server, chain } = world([old]);
    server.answer = away;
    const answer = await chain.send(bearer(byOld));
    expect([answer.status, headerOf(answer, "x-clearway-reason"), answer.forwarded]).toEqual([
      503,
      "jwks-unavailable",
      null,
    ]);
    for (let second = 0; second < 120; second++) {
      expect(await statusOf(chain, byOld)).toBe(503);
      clock.advance(1000);
    }
    expect(server.downloads).toBeLessThan(10);
    expect(chain.parts.logged).toHaveLength(1);
    server.answer = () => KeyServer.keys([old]);
    clock.advance(30_000);
    expect(await statusOf(chain, byOld)).toBe(200);
  });

  const bad: Record<string, { answer: () => Response | Promise<Response>; says: string }> = {
    "answers 500": { answer: () => new Response("x", { status: 500 }), says: "it answered 500" },
    redirects: {
      answer: () => new Response(null, { status: 302, headers: { location: "https://evil.example" } }),
      says: "it answered 302",
    },
    "is huge": {
      answer: () => new Response(new Uint8Array(256 * 1024 + 1)),
      says: "it answered with more than 262144 bytes",
    },
    "never ends": {
      answer: () => new Response(new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(65_536)) })),
      says: "it answered with more than 262144 bytes",
    },
    "is no JSON": { answer: () => new Response("<html>"), says: "it is not JSON" },
    "is null": { answer: () => new Response("null"), says: "it has no list `keys`" },
    "has no list of keys": { answer: () => Response.json({ keys: {} }), says: "it has no list `keys`" },
    "has no key of use": {
      answer: () => Response.json({ keys: [null, 1, { kty: "oct", k: "AAAA" }, { ...old.jwk, d: "AAAA" }] }),
      says: "it has no public key of kty RSA, EC or OKP",
    },
  };
  for (const [what, { answer, says }] of Object.entries(bad)) {
    test(`that ${what} is no key set: the last good one stays`, async () => {
      const { clock, server, chain } = world([old]);
      await statusOf(chain, byOld);
      server.answer = answer;
      clock.advance(25 * minuteMs);
      expect(await statusOf(chain, byOld)).toBe(200);
      await until(() => chain.parts.logged.length > 0);
      expect(chain.parts.logged[0]!.message).toContain(says);
    });
  }

  test("that hangs is given up after the timeout, in its head and in its body", async () => {
    const hanging = [() => new Promise<Response>(() => {}), () => new Response(new ReadableStream({}))];
    for (const answer of hanging) {
      const { clock, server, chain } = world([old], { timeout: "3s" });
      server.answer = answer;
      const status = statusOf(chain, byOld);
      await until(() => server.downloads === 1);
      clock.advance(2999);
      expect(await Promise.race([status, Bun.sleep(20).then(() => "waiting")])).toBe("waiting");
      clock.advance(1);
      expect(await status).toBe(503);
      expect(chain.parts.logged[0]!.message).toContain("no whole answer within 3000 ms");
    }
  });

  test("with a key that nobody can use still has the others", async () => {
    const { server, chain } = world([]);
    const broken = { ...next.jwk, x: "not a point" };
    server.answer = () => Response.json({ keys: [broken, { kty: "AKP" }, old.jwk] });
    expect(await statusOf(chain, byOld)).toBe(200);
    expect(await statusOf(chain, byNext)).toBe(401);
  });

  test("survives a reload, and is downloaded for nobody when it is over", async () => {
    const { server, chain, options } = world([old]);
    await statusOf(chain, byOld);
    const reloaded = realChain(jwt, { ...options, audience: "desk" }, { ...chain.parts });
    chain.close();
    expect(await statusOf(reloaded, byOld)).toBe(401);
    expect(await statusOf(reloaded, await signed(old, { aud: "desk" }))).toBe(200);
    expect(server.downloads).toBe(1);
    reloaded.close();
    expect(chain.parts.clock.waiting).toBe(0);
  });
});

describe("verified tokens", () => {
  test("are verified once, until they expire", async () => {
    const { clock, chain } = world([old], { leeway: "10s" });
    const token = await signed(old);
    for (let i = 0; i < 5; i++) await statusOf(chain, token);
    expect(chain.counted("jwt_verified")).toBe(1);
    clock.advance(3_610_000 - 1);
    expect(await statusOf(chain, token)).toBe(200);
    clock.advance(1);
    expect(await statusOf(chain, token)).toBe(401);
  });

  test("are forgotten when the issuer's keys change, and only then", async () => {
    const { clock, server, chain } = world([old, next]);
    await statusOf(chain, byOld);
    clock.advance(20 * minuteMs);
    await statusOf(chain, byOld);
    expect([server.downloads, chain.counted("jwt_verified")]).toEqual([2, 1]);
    server.answer = () => KeyServer.keys([next]);
    clock.advance(20 * minuteMs);
    expect(await statusOf(chain, byOld)).toBe(401);
  });
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error("waited in vain");
    await Bun.sleep(1);
  }
}
