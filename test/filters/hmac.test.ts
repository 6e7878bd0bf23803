import { describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import hmac from "../../src/filters/hmac.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { headerOf, realChain } from "./real-chain.ts";

const keys = { storefront: "s".repeat(32), accounts: `base64:${Buffer.alloc(32, 7).toString("base64")}` };
const nowSeconds = new VirtualClock().epochMs() / 1000;

interface Draft {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly key?: string | Buffer;
  readonly keyId?: string;
  readonly parameters?: string;
  readonly components?: readonly string[];
}

/** A second, plain writing of RFC 9421. */
function signed(draft: Draft = {}) {
  const {
    method = "GET",
    path = "/orders/1?x=%41",
    body,
    key = keys.storefront,
    keyId = "storefront",
  } = draft;
  const digest = body === undefined ? {} : { "content-digest": digestOf(body) };
  const headers: Record<string, string> = { Host: "shop.example", ...digest, ...draft.headers };
  const names = draft.components ?? [...["@method", "@authority", "@path", "@query"], ...Object.keys(digest)];
  const [bare = "", query = ""] = path.split("?");
  const values: Record<string, string | undefined> = {
    "@method": method,
    "@authority": draft.authority ?? "shop.example",
    "@path": bare,
    "@query": `?${query}`,
    ...headers,
  };
  const list = names.map((name) => `"${name}"`).join(" ");
  const parameters = `(${list});${draft.parameters ?? `created=${nowSeconds}`};keyid="${keyId}"`;
  const lines = names.map((name) => `"${name}": ${values[name]}`);
  const signature = createHmac("sha256", key)
    .update([...lines, `"@signature-params": ${parameters}`].join("\n"), "latin1")
    .digest("base64");
  return {
    method,
    path,
    ...(body === undefined ? {} : { body }),
    headers: { ...headers, "Signature-Input": `sig=${parameters}`, Signature: `sig=:${signature}:` },
  };
}

function digestOf(body: string, algorithm = "sha256", name = "sha-256"): string {
  return `${name}=:${createHash(algorithm).update(body).digest("base64")}:`;
}

async function answerTo(draft: object, options: object = {}) {
  const chain = realChain(hmac, { keys, ...options });
  const answer = await chain.send(draft);
  const why = chain.parts.counted.find(({ labels }) => labels.why !== undefined)?.labels.why;
  return { status: answer.status, why, answer };
}

describe("hmac lets pass", () => {
  test("a signed request, and tells the service whose key it was", async () => {
    for (const [keyId, key] of [
      ["storefront", keys.storefront],
      ["accounts", Buffer.alloc(32, 7)],
    ] as const) {
      const draft = signed({ keyId, key });
      const { status, answer } = await answerTo(
        { ...draft, headers: { ...draft.headers, "x-caller": "root" } },
        { header: "x-caller" },
      );
      expect([status, headerOf(answer.forwarded!, "x-caller")]).toEqual([200, keyId]);
    }
  });

  test("one whose body fits its digest, of either kind, and sends the body on", async () => {
    const both = `${digestOf("hello")}, ${digestOf("hello", "sha512", "sha-512")}`;
    for (const digest of [digestOf("hello"), digestOf("hello", "sha512", "sha-512"), both]) {
      const headers = { "content-digest": digest };
      const { status, answer } = await answerTo(signed({ method: "PUT", body: "hello", headers }));
      expect([status, answer.forwarded?.body]).toEqual([200, "hello"]);
    }
  });

  test("one that signs more than it must, and headers with it", async () => {
    const components = ["@method", "@authority", "@path", "@query", "x-tenant"];
    const draft = signed({ components, headers: { "x-tenant": "zo\xeb, b" } });
    expect((await answerTo(draft, { cover: ["@method", "x-tenant"] })).status).toBe(200);
    const other = { ...draft, headers: { ...draft.headers, "x-tenant": "c" } };
    expect((await answerTo(other)).why).toBe("signature");
  });

  test("a body that is not signed, where it need not be", async () => {
    const { status, answer } = await answerTo(
      { ...signed({ method: "PUT" }), body: "hello" },
      { body: "unsigned" },
    );
    expect([status, answer.forwarded?.body]).toEqual([200, "hello"]);
  });

  test("what is within the window", async () => {
    for (const created of [nowSeconds - 300, nowSeconds + 30])
      expect((await answerTo(signed({ parameters: `created=${created}` }))).status).toBe(200);
  });
});

describe("hmac refuses", () => {
  const changed = (draft: { headers: Record<string, string> }, headers: Record<string, string>) => ({
    ...draft,
    headers: { ...draft.headers, ...headers },
  });
  const cases: Record<string, readonly [object, string, object?]> = {
    "an unsigned request": [{}, "missing"],
    "one with half a signature": [{ headers: { signature: "sig=:AAAA:" } }, "missing"],
    "what it cannot read": [changed(signed(), { "Signature-Input": "sig=()" }), "malformed"],
    "a signature under another label": [changed(signed(), { Signature: "b=:AAAA:" }), "malformed"],
    "another method": [{ ...signed(), method: "DELETE" }, "signature"],
    "another path": [{ ...signed(), path: "/orders/2?x=%41" }, "signature"],
    "the same query, spelt in another way": [{ ...signed(), path: "/orders/1?x=A" }, "signature"],
    "another host": [signed({ authority: "desk.example" }), "signature"],
    "another key": [signed({ key: "t".repeat(32) }), "signature"],
    "another's key": [signed({ keyId: "accounts" }), "signature"],
    "a key that is not known": [signed({ keyId: "mallory" }), "signature"],
    "a key of every object": [signed({ keyId: "constructor" }), "signature"],
    "a signed header that is gone": [
      signed({ components: ["@method", "@authority", "@path", "@query", "x-gone"] }),
      "signature",
    ],
    "one that does not sign its query": [
      signed({ components: ["@method", "@authority", "@path"] }),
      "uncovered",
    ],
    "one that is too old": [signed({ parameters: `created=${nowSeconds - 301}` }), "too-old"],
    "one from the future": [signed({ parameters: `created=${nowSeconds + 31}` }), "too-old"],
    "one that has expired": [
      signed({ parameters: `created=${nowSeconds};expires=${nowSeconds}` }),
      "too-old",
    ],
    "another body": [{ ...signed({ method: "PUT", body: "hello" }), body: "hellO" }, "digest"],
    "no body in place of the signed one": [
      (({ body: _, ...rest }) => rest)(signed({ method: "PUT", body: "hello" })),
      "digest",
    ],
    "a body that is not signed": [{ ...signed({ method: "PUT" }), body: "hello" }, "uncovered"],
    "a digest of a kind that is not known": [
      signed({
        method: "PUT",
        body: "hello",
        headers: { "content-digest": "md5=:XUFAKrxLKna5cZ2REBfFkg==:" },
      }),
      "digest",
    ],
  };
  for (const [what, [draft, wanted, options]] of Object.entries(cases)) {
    test(what, async () => {
      const { status, why, answer } = await answerTo(draft, options);
      expect([status, why, headerOf(answer, "x-clearway-reason"), answer.forwarded]).toEqual([
        401,
        wanted,
        "unauthenticated",
        null,
      ]);
    });
  }

  test("with 413 a body that is larger than it may hold", async () => {
    const large = signed({ method: "PUT", body: "123456" });
    for (const draft of [large, changed(large, { "content-length": "6" })]) {
      const { status, answer } = await answerTo(draft, { bodyMax: "5B" });
      expect([status, headerOf(answer, "x-clearway-reason")]).toEqual([413, "body-too-large"]);
    }
  });

  test("the same signature a second time, at the same moment, and after a reload", async () => {
    const chain = realChain(hmac, { keys }, { onError: "open" });
    const answers = await Promise.all(
      [signed(), signed(), signed({ path: "/2" })].map((one) => chain.send(one)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 401]);
    const reloaded = realChain(hmac, { keys, window: "1m" }, { ...chain.parts });
    chain.close();
    expect((await reloaded.send(signed())).status).toBe(401);
    expect(reloaded.counted("hmac_refused replayed")).toBe(2);
  });

  test("and says what must be signed", async () => {
    const { answer } = await answerTo({}, { realm: "shop", cover: ["@method", "@target-uri"] });
    expect(headerOf(answer, "www-authenticate")).toBe('Signature realm="shop"');
    expect(headerOf(answer, "accept-signature")).toBe(
      'sig=("@method" "@target-uri" "content-digest");created;keyid;alg="hmac-sha256"',
    );
  });
});
