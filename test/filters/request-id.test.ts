import { describe, expect, test } from "bun:test";
import requestId from "../../src/filters/request-id.ts";
import { appOf, createMiddleware, testEnv, testTools } from "./tools.ts";

/** Sends one request through the filter; the answer's body tells what the service got, and what later filters find. */
async function send(
  options: unknown,
  headers: Record<string, string>,
  answered: Record<string, string> = {},
) {
  const app = appOf([createMiddleware(requestId, options, testTools())], (c) =>
    Response.json(
      { sent: Object.fromEntries(c.req.raw.headers), requestId: c.get("requestId") },
      { headers: answered },
    ),
  );
  const response = await app.request("/", { headers }, testEnv());
  const { sent, requestId: variable } = (await response.json()) as {
    sent: Record<string, string>;
    requestId: string;
  };
  return { sent, variable, response };
}

const first = "00000000000000000000000000000001";

describe("request-id", () => {
  test("makes an id, passes it up, answers with it and tells later filters", async () => {
    const { sent, variable, response } = await send({}, {});
    expect(sent["x-request-id"]).toBe(first);
    expect(variable).toBe(first);
    expect(response.headers.get("x-request-id")).toBe(first);
  });

  test("takes the caller's id", async () => {
    const { sent, variable, response } = await send({}, { "X-Request-Id": "a1.B2_c~+/=-" });
    expect([sent["x-request-id"], variable, response.headers.get("x-request-id")]).toEqual(
      Array(3).fill("a1.B2_c~+/=-"),
    );
  });

  test("gives each request another id", async () => {
    const app = appOf([createMiddleware(requestId, {}, testTools())]);
    const ids = [await app.request("/", {}, testEnv()), await app.request("/", {}, testEnv())];
    expect(new Set(ids.map((response) => response.headers.get("x-request-id"))).size).toBe(2);
  });

  test("takes an id of 128 characters and replaces one of 129", async () => {
    const longest = "a".repeat(128);
    expect((await send({}, { "x-request-id": longest })).variable).toBe(longest);
    expect((await send({}, { "x-request-id": `${longest}a` })).sent["x-request-id"]).toBe(first);
  });

  test("replaces an id with other characters, and two ids", async () => {
    for (const given of ["", "a b", 'a"b', "a,b", "a\u00e9", "<script>", "a, b"]) {
      expect((await send({}, { "x-request-id": given })).sent["x-request-id"]).toBe(first);
    }
  });

  test("makes a new id for everybody when nobody is trusted", async () => {
    const { sent, response } = await send({ trust: "nobody" }, { "x-request-id": "mine" });
    expect([sent["x-request-id"], response.headers.get("x-request-id")]).toEqual([first, first]);
  });

  test("answers with the id of the request, not with what the service said", async () => {
    const { response } = await send({}, { "x-request-id": "mine" }, { "x-request-id": "theirs" });
    expect(response.headers.get("x-request-id")).toBe("mine");
  });

  test("uses another header when told so", async () => {
    const { sent, response } = await send({ header: "X-Correlation-Id" }, { "x-request-id": "left alone" });
    expect(sent["x-correlation-id"]).toBe(first);
    expect(sent["x-request-id"]).toBe("left alone");
    expect(response.headers.get("x-correlation-id")).toBe(first);
  });

  test("refuses options that name no header", () => {
    for (const header of ["", "a b", "a:", "x\r\n", 5]) {
      expect(requestId.options.safeParse({ header }).success).toBe(false);
    }
    expect(requestId.options.safeParse({ trust: "all" }).success).toBe(false);
  });
});
