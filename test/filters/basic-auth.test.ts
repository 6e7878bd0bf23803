import { describe, expect, test } from "bun:test";
import basicAuth from "../../src/filters/basic-auth.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { headerOf, realChain } from "./real-chain.ts";

/** `secret` and `pâss:word`, as the commands of docs/filters.md make them. */
const alice = `pbkdf2:10000:${"a1".repeat(16)}:${await pbkdf2Hex("secret", "a1".repeat(16), 10_000)}`;
const robot = `sha256:0123456789abcdef:${sha256Hex("0123456789abcdefpâss:word")}`;
const users = { alice, robot };

async function pbkdf2Hex(password: string, salt: string, iterations: number): Promise<string> {
  const { pbkdf2Sync } = await import("node:crypto");
  return pbkdf2Sync(password, Buffer.from(salt, "hex"), iterations, 32, "sha256").toString("hex");
}

function sha256Hex(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

function basic(pair: string) {
  return { headers: { authorization: `Basic ${Buffer.from(pair).toString("base64")}` } };
}

describe("basic-auth", () => {
  test("lets pass who has a right password, of either kind of hash, and tells the service who it is", async () => {
    const chain = realChain(basicAuth, { users, header: "x-user" });
    for (const [name, pair] of [
      ["alice", "alice:secret"],
      ["robot", "robot:pâss:word"],
      ["alice", "alice:secret"],
    ] as const) {
      const { headers } = basic(pair);
      const { status, forwarded } = await chain.send({ headers: { ...headers, "x-user": "root" } });
      expect([status, headerOf(forwarded!, "x-user"), chain.vars.caller]).toEqual([200, name, name]);
      expect(headerOf(forwarded!, "authorization")).toBeNull();
    }
    const kept = await realChain(basicAuth, { users, forward: true }).send(basic("alice:secret"));
    expect(headerOf(kept.forwarded!, "authorization")).toStartWith("Basic ");
  });

  test("refuses everybody else alike, and asks", async () => {
    const chain = realChain(basicAuth, { users, realm: "desk" }, { onError: "open" });
    const wrong = [
      basic("alice:Secret"),
      basic("alice:"),
      basic("alice"),
      basic("mallory:secret"),
      basic("robot:secret"),
      basic("constructor:secret"),
      basic(`alice:${"x".repeat(2000)}`),
      { headers: { authorization: "Basic" } },
      { headers: { authorization: "Basic %%%" } },
      { headers: { authorization: "Bearer YWxpY2U6c2VjcmV0" } },
      {},
    ];
    for (const draft of wrong) {
      const answer = await chain.send(draft);
      expect([answer.status, headerOf(answer, "x-clearway-reason"), answer.forwarded]).toEqual([
        401,
        "unauthenticated",
        null,
      ]);
      expect(headerOf(answer, "www-authenticate")).toBe('Basic realm="desk", charset="UTF-8"');
    }
    expect(chain.counted("basic_auth_refused wrong")).toBe(8);
    expect(chain.counted("basic_auth_refused missing")).toBe(3);
  });

  test("checks a password once, for every request that waits for it and those that follow in the time", async () => {
    const clock = new VirtualClock();
    const derive = crypto.subtle.deriveBits;
    let derived = 0;
    crypto.subtle.deriveBits = ((...given: Parameters<typeof derive>) => {
      derived += 1;
      return derive.apply(crypto.subtle, given);
    }) as typeof derive;
    try {
      const chain = realChain(basicAuth, { users, remember: "1m" }, { clock });
      const together = await Promise.all([1, 2, 3].map(() => chain.send(basic("alice:secret"))));
      expect([together.map(({ status }) => status), derived]).toEqual([[200, 200, 200], 1]);
      clock.advance(59_999);
      expect([(await chain.send(basic("alice:secret"))).status, derived]).toEqual([200, 1]);
      clock.advance(1);
      expect([(await chain.send(basic("alice:secret"))).status, derived]).toEqual([200, 2]);
      for (const pair of ["alice:wrong", "alice:wrong", "nobody:secret"]) await chain.send(basic(pair));
      expect(derived).toBe(5);
    } finally {
      crypto.subtle.deriveBits = derive;
    }
  });

  test("refuses for a while who comes when too many are being checked, and goes on afterwards", async () => {
    const chain = realChain(basicAuth, { users });
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => chain.send(basic(`alice:wrong-${i}`))),
    );
    const busy = answers.filter(({ status }) => status === 503);
    expect(busy).toHaveLength(100 - 66);
    expect([headerOf(busy[0]!, "x-clearway-reason"), headerOf(busy[0]!, "retry-after")]).toEqual([
      "too-many-attempts",
      "1",
    ]);
    expect((await chain.send(basic("alice:secret"))).status).toBe(200);
  });
});
