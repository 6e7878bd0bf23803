import { describe, expect, test } from "bun:test";
import extAuthz from "../../src/filters/ext-authz.ts";
import type { RequestDraft } from "../runtime/fetch/both-pairs.ts";
import { headerOf, realChain } from "./real-chain.ts";

interface Asked {
  readonly service: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
}

function world(answer: () => Response | Promise<Response>, more: object = {}, onError?: "open") {
  const asked: Asked[] = [];
  const call = async (service: string, request: Request): Promise<Response> => {
    const { method, url, headers } = request;
    asked.push({ service, method, url, headers, body: await request.text() });
    return answer();
  };
  const chain = realChain(extAuthz, { service: "authz", ...more }, { call, ...(onError ? { onError } : {}) });
  return { chain, asked };
}

const yes = (headers: Record<string, string> = {}) => new Response(null, { status: 204, headers });
const draft: RequestDraft = {
  method: "PUT",
  path: "/orders/1?x=%41",
  headers: {
    Host: "shop.example",
    authorization: "Bearer a",
    cookie: "s=1",
    "x-secret": "no",
    "x-user": "root",
  },
  body: "hello",
};

describe("ext-authz", () => {
  test("asks about the request, and sends nothing else of it than it may", async () => {
    const { chain, asked } = world(yes, { path: "/check?for=shop" });
    const { status, forwarded } = await chain.send(draft);
    expect([status, forwarded?.method, forwarded?.body]).toEqual([200, "PUT", "hello"]);
    const [{ service, method, url, headers, body }] = asked as [Asked];
    expect([service, method, url, body]).toEqual(["authz", "GET", "http://authz/check?for=shop", ""]);
    expect(Object.fromEntries(headers)).toEqual({
      authorization: "Bearer a",
      cookie: "s=1",
      "x-forwarded-method": "PUT",
      "x-forwarded-proto": "http",
      "x-forwarded-host": "shop.example",
      "x-forwarded-uri": "/orders/1?x=%41",
      "x-forwarded-for": "203.0.113.7",
    });
  });

  test("hands on the headers of a yes that it may, in place of what the caller sent", async () => {
    const more = { toService: ["X-User", "x-gone"], toCaller: ["x-plan"] };
    const { chain } = world(() => yes({ "x-user": "alice", "x-plan": "gold", "x-more": "no" }), more);
    const answer = await chain.send({ headers: { ...draft.headers, "x-gone": "forged" } });
    expect(headerOf(answer.forwarded!, "x-user")).toBe("alice");
    expect(headerOf(answer.forwarded!, "x-gone")).toBeNull();
    expect(headerOf(answer.forwarded!, "x-more")).toBeNull();
    expect([headerOf(answer, "x-plan"), headerOf(answer, "x-more")]).toEqual(["gold", null]);
  });

  test("gives the caller the answer of who says no", async () => {
    for (const [status, reason] of [
      [401, "unauthenticated"],
      [403, "forbidden"],
      [302, "forbidden"],
      [429, "forbidden"],
    ] as const) {
      const headers = { location: "/login", "www-authenticate": "Bearer", "x-internal": "1" };
      const { chain } = world(() => new Response("please log in", { status, headers }), {}, "open");
      const answer = await chain.send(draft);
      expect([answer.status, answer.body, answer.forwarded]).toEqual([status, "please log in", null]);
      expect(["x-clearway-reason", "location", "x-internal"].map((name) => headerOf(answer, name))).toEqual([
        reason,
        "/login",
        null,
      ]);
      expect(chain.counted("ext_authz_asked denied")).toBe(1);
    }
  });

  test("gives no more than 64 KiB of it", async () => {
    const { chain } = world(() => new Response("x".repeat(64 * 1024 + 1), { status: 403 }));
    const answer = await chain.send(draft);
    expect([answer.status, answer.body]).toEqual([403, ""]);
  });

  const failures = {
    "answers 500": () => new Response("oh", { status: 500 }),
    "cannot be reached": () => Promise.reject(new Error("connection refused")),
  };
  for (const [what, answer] of Object.entries(failures)) {
    test(`denies when the service ${what}, and says so once`, async () => {
      const { chain } = world(answer, {}, "open");
      for (let i = 0; i < 3; i++) {
        const { status, headers, forwarded } = await chain.send(draft);
        expect([status, headerOf({ headers }, "x-clearway-reason"), forwarded]).toEqual([
          503,
          "ext-authz-unavailable",
          null,
        ]);
      }
      expect(chain.parts.logged).toHaveLength(1);
      expect(chain.counted("ext_authz_asked failed")).toBe(3);
    });

    test(`lets pass when the service ${what}, where failure allows it, without its headers`, async () => {
      const { chain } = world(answer, { failure: "allow", toService: ["x-user"] });
      const { status, forwarded } = await chain.send(draft);
      expect([status, headerOf(forwarded!, "x-user")]).toEqual([200, null]);
    });
  }

  test("waits no longer than the timeout", async () => {
    const { chain, asked } = world(() => new Promise(() => {}), { timeout: "250ms" });
    const sent = chain.send(draft);
    while (asked.length === 0) await Bun.sleep(1);
    chain.parts.clock.advance(249);
    expect(await Promise.race([sent, Bun.sleep(20).then(() => "waiting")])).toBe("waiting");
    chain.parts.clock.advance(1);
    expect((await sent).status).toBe(503);
    expect(chain.parts.clock.waiting).toBe(0);
    expect(chain.parts.logged[0]!.message).toContain("no answer within 250 ms");
  });

  test("says when the service answers again", async () => {
    let answer: () => Response | Promise<Response> = failures["cannot be reached"];
    const { chain } = world(() => answer());
    await chain.send(draft);
    answer = yes;
    await chain.send(draft);
    expect(chain.parts.logged.map(({ message }) => message)).toEqual([
      "cannot ask the service that decides: connection refused",
      "the service that decides can be asked again",
    ]);
  });

  test("sends the body where it shall, up to its limit, and the request keeps it", async () => {
    const { chain, asked } = world(yes, { body: "5B" });
    const headers = { "content-type": "text/plain" };
    const { forwarded } = await chain.send({ ...draft, headers });
    expect([asked[0]!.method, asked[0]!.body, asked[0]!.headers.get("content-type")]).toEqual([
      "POST",
      "hello",
      "text/plain",
    ]);
    expect(forwarded?.body).toBe("hello");
    for (const more of [{}, { "content-length": "6" }]) {
      const large = await chain.send({ method: "PUT", headers: more, body: "hello!" });
      expect([large.status, headerOf(large, "x-clearway-reason")]).toEqual([413, "body-too-large"]);
    }
    expect((await chain.send({})).status).toBe(200);
    expect(asked.map(({ method }) => method)).toEqual(["POST", "GET"]);
  });
});
