import { afterEach, describe, expect, test } from "bun:test";
import policy from "../../src/filters/policy.ts";
import { statusOf, values } from "../runtime/messages.ts";
import { okAnswer } from "../runtime/recording-upstream.ts";
import { closeAll, upstreamWith } from "../runtime/setting.ts";
import { identityOf, memberOf, meshNode } from "../runtime/tls/meshed.ts";
import { shown } from "../runtime/tls/secured.ts";
import { TlsCaller } from "../runtime/tls/tls-caller.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { headerOf, type RealChain, realChain } from "./real-chain.ts";
import { createMiddleware, testEnv, testTools } from "./tools.ts";

afterEach(closeAll);

const trustDomain = "store.example";

function chainOf(options: object, identity: string | null, clock = new VirtualClock()): RealChain {
  return realChain(policy, { trustDomain, ...options }, { env: { identity }, clock });
}

/** `METHOD path` of who asks, and whether it passes. */
async function passes(options: object, who: string | null, request: string): Promise<boolean> {
  const [method = "", path = ""] = request.split(" ");
  const identity = who === null || who.startsWith("spiffe://") ? who : identityOf(who);
  const chain = chainOf(options, identity);
  const answer = await chain.send({ method, path });
  expect(answer.forwarded === null).toBe(answer.status === 403);
  return answer.status === 200;
}

describe("policy", () => {
  test("denies whom no rule names, and everybody without rules", async () => {
    const options = { allow: [{ from: "storefront" }] };
    expect(await passes(options, "storefront", "GET /")).toBe(true);
    expect(await passes(options, "storefront", "POST /charge?a=1")).toBe(true);
    for (const who of ["products", null, "spiffe://other.example/storefront", "storefrontx"]) {
      expect(await passes(options, who, "GET /")).toBe(false);
    }
    for (const who of ["storefront", null]) {
      for (const none of [{}, { allow: [] }]) expect(await passes(none, who, "GET /")).toBe(false);
    }
  });

  test("knows callers by name, by identity, as a list, as everybody proved, and as nobody", async () => {
    const rows: readonly (readonly [from: unknown, who: string | null, passes: boolean])[] = [
      ["spiffe://other.example/a", "spiffe://other.example/a", true],
      ["spiffe://other.example/a", "a", false],
      [["products", "storefront"], "storefront", true],
      [["products", "storefront"], "orders", false],
      ["*", "orders", true],
      ["*", "spiffe://other.example/a", true],
      // Who proved nothing is not everybody.
      ["*", null, false],
      ["anonymous", null, true],
      ["anonymous", "orders", false],
      [["anonymous", "*"], null, true],
      [["anonymous", "*"], "orders", true],
    ];
    for (const [from, who, wanted] of rows) {
      expect([from, who, await passes({ allow: [{ from }] }, who, "GET /")]).toEqual([from, who, wanted]);
    }
  });

  test("judges by method and path, as they are forwarded", async () => {
    const options = {
      allow: [
        { from: "storefront", method: "POST", path: "/charge" },
        { from: "storefront", method: ["GET", "HEAD"], path: "/orders/*" },
        { from: "*", method: "GET", path: "/users/:id" },
      ],
    };
    const rows: readonly (readonly [who: string | null, request: string, passes: boolean])[] = [
      ["storefront", "POST /charge", true],
      ["storefront", "POST /charge?to=me", true],
      ["storefront", "GET /charge", false],
      ["storefront", "POST /charge/", false],
      ["storefront", "POST /CHARGE", false],
      ["storefront", "POST /%63harge", false],
      ["storefront", "POST /orders/1", false],
      ["storefront", "HEAD /orders", true],
      ["storefront", "GET /orders/1/items", true],
      ["storefront", "GET /users/7", true],
      ["products", "GET /users/7", true],
      ["products", "GET /users/7/cards", false],
      ["products", "GET /orders/1", false],
      [null, "GET /users/7", false],
    ];
    for (const [who, request, wanted] of rows) {
      expect([who, request, await passes(options, who, request)]).toEqual([who, request, wanted]);
    }
  });

  test("lets all pass with default: allow", async () => {
    for (const who of ["orders", null])
      expect(await passes({ default: "allow" }, who, "DELETE /")).toBe(true);
  });

  test("tells the caller what was refused, and the log why, but the caller no rule", async () => {
    const allow = [{ from: "storefront", method: "POST", path: "/secret-path" }];
    const chain = chainOf({ allow }, identityOf("storefront"));
    const answer = await chain.send({ method: "GET", path: "/a%2Fb?c" });
    expect([answer.status, headerOf(answer, "x-clearway-reason")]).toEqual([403, "policy-denied"]);
    expect(answer.body).toBe(`policy-denied: ${identityOf("storefront")} may not GET /a%2Fb\n`);
    expect(chain.parts.logged).toEqual([
      {
        message: `refused: no rule of allow takes this request; allow[0] is about ${identityOf("storefront")}, with another method or path`,
        fields: {
          ...{ filter: "policy", caller: identityOf("storefront"), method: "GET", path: "/a%2Fb" },
          ...{ unsaid: 0, rule: null },
        },
      },
    ]);
    const stranger = chainOf({ allow }, null);
    expect((await stranger.send({ method: "POST", path: "/secret-path" })).body).toBe(
      "policy-denied: anonymous may not POST /secret-path\n",
    );
    expect(stranger.parts.logged[0]!.message).toBe("refused: no rule of allow is about anonymous");
    expect(stranger.counted("policy_denied anonymous")).toBe(1);
  });

  test("with audit lets pass what no rule allows, and says so", async () => {
    const options = { allow: [{ from: "storefront" }], audit: [{ from: "*", method: "GET" }] };
    const chain = chainOf(options, identityOf("products"));
    expect((await chain.send({ method: "GET" })).status).toBe(200);
    expect((await chain.send({ method: "POST" })).status).toBe(403);
    expect(chain.parts.logged.map(({ message, fields }) => [message, fields.rule])).toEqual([
      [`let pass by audit[0]: no rule of allow takes GET of ${identityOf("products")}`, "audit[0]"],
      [`refused: no rule of allow is about ${identityOf("products")}`, null],
    ]);
    expect(chain.counted("policy_audited")).toBe(1);
    const allowed = chainOf(options, identityOf("storefront"));
    expect((await allowed.send({ method: "GET" })).status).toBe(200);
    expect(allowed.parts.logged).toEqual([]);
  });

  test("writes at most ten lines a second, and how many it left out", async () => {
    const clock = new VirtualClock();
    const tools = testTools({ clock });
    const middleware = createMiddleware(policy, {}, tools);
    const ask = () =>
      middleware(
        { env: testEnv(), req: { method: "GET", raw: { url: "http://a/" } } } as never,
        async () => {},
      );
    for (let count = 0; count < 1000; count++) await ask();
    expect(tools.logged).toHaveLength(10);
    clock.advance(1000);
    await ask();
    expect(tools.logged).toHaveLength(11);
    expect(tools.logged.at(-1)!.fields.unsaid).toBe(990);
    expect(tools.counts.get('policy_denied {"caller":"anonymous"}')).toBe(1001);
  });

  test("names no rule that a later listener's path could get around: judged is what was normalised", async () => {
    const upstream = await upstreamWith({ onRequest: () => okAnswer });
    const listener = `    filters:
      - policy: { trustDomain: store.example, allow: [{ from: storefront, path: /public/* }] }`;
    const { proxy } = await meshNode([upstream.port], {
      listener,
      root: "paths: { dotSegments: resolve, merge: true }",
    });
    const client = await TlsCaller.open(proxy.port(), shown(await memberOf("storefront")));
    const ask = async (path: string) => {
      const answer = await client.exchange(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      return [statusOf(answer), ...values(answer, "x-clearway-reason")];
    };
    expect(await ask("/public/a")).toEqual([200]);
    expect(await ask("/private/../public/a")).toEqual([200]);
    for (const path of ["/public/../private", "//private", "/public/%2e%2e/private", "/private"]) {
      expect([path, ...(await ask(path))]).toEqual([path, 403, "policy-denied"]);
    }
    const seen = upstream.requests.map(({ start }) => start);
    expect(seen).toEqual(["GET /public/a HTTP/1.1", "GET /public/a HTTP/1.1"]);
  });
});
