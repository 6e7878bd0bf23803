import { describe, expect, test } from "bun:test";
import apiKey from "../../src/filters/api-key.ts";
import { headerOf, realChain } from "./real-chain.ts";

const partner = "p-3f9c2a7d51e84b60";
const digest = new Bun.CryptoHasher("sha256").update(partner).digest("hex");
const keys = { "mobile-app": "m-77aa00bb11cc22dd", partner: `sha256:${digest}` };

describe("api-key", () => {
  test("lets pass who has a key, given as text or as its digest, and tells the service whose it is", async () => {
    const chain = realChain(apiKey, { keys, header: "x-caller" });
    for (const [name, key] of [
      ["mobile-app", keys["mobile-app"]],
      ["partner", partner],
      ["partner", partner],
    ] as const) {
      const { status, forwarded } = await chain.send({ headers: { "X-API-Key": key, "X-Caller": "root" } });
      expect([status, headerOf(forwarded!, "x-caller")]).toEqual([200, name]);
      expect(headerOf(forwarded!, "x-api-key")).toBeNull();
      expect(chain.vars.caller).toBe(name);
    }
  });

  test("refuses who has none, or one that is not known", async () => {
    const chain = realChain(apiKey, { keys, realm: "shop" }, { onError: "open" });
    const wrong = [
      undefined,
      "",
      "x",
      `${partner}x`,
      partner.slice(1),
      digest,
      `sha256:${digest}`,
      "k".repeat(9000),
    ];
    for (const key of wrong) {
      const answer = await chain.send({ headers: key === undefined ? {} : { "x-api-key": key } });
      expect([answer.status, headerOf(answer, "x-clearway-reason"), answer.forwarded]).toEqual([
        401,
        "unauthenticated",
        null,
      ]);
      expect(headerOf(answer, "www-authenticate")).toBe('Key realm="shop"');
    }
    expect([chain.counted("api_key_refused missing"), chain.counted("api_key_refused unknown")]).toEqual([
      2, 6,
    ]);
  });

  test("refuses two keys in one request", async () => {
    const { status } = await realChain(apiKey, { keys }).send({
      headers: { "x-api-key": `${partner}, ${partner}` },
    });
    expect(status).toBe(401);
  });

  test("finds a key in a cookie, in the query and behind Bearer, and passes it on where it shall", async () => {
    const from = ["cookie:key", "query:key", "header:authorization"];
    const chain = realChain(apiKey, { keys, from, forward: true });
    const authorization = `Bearer ${partner}`;
    const byHeader = await chain.send({ headers: { authorization } });
    expect(headerOf(byHeader.forwarded!, "authorization")).toBe(authorization);
    const byCookie = await chain.send({ headers: { cookie: `a=b; key=${partner}` } });
    expect(headerOf(byCookie.forwarded!, "cookie")).toBe(`a=b; key=${partner}`);
    expect((await chain.send({ path: `/?key=${partner}` })).status).toBe(200);
    expect((await chain.send({ headers: { "x-api-key": partner } })).status).toBe(401);
  });
});
