import { describe, expect, test } from "bun:test";
import headers from "../../src/filters/headers.ts";
import { appOf, createMiddleware, testEnv, testTools } from "./tools.ts";

async function send(options: unknown, given: Record<string, string>, answered: Record<string, string> = {}) {
  let sent = new Headers();
  const app = appOf([createMiddleware(headers, options, testTools())], (c) => {
    sent = new Headers(c.req.raw.headers);
    return new Response("ok", { headers: answered });
  });
  const response = await app.request("/", { headers: given }, testEnv());
  return { sent, response };
}

function messages(options: unknown): string[] {
  return (
    headers.options
      .safeParse(options)
      .error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? []
  );
}

describe("headers", () => {
  test("set replaces, add keeps, remove takes out, in the request", async () => {
    const request = { remove: ["X-Secret"], set: { "x-tenant": "shop" }, add: { "X-Via": "edge" } };
    const { sent } = await send(
      { request },
      { "x-secret": "1", "x-tenant": "forged", "x-via": "cdn", "x-kept": "yes" },
    );
    expect(sent.has("x-secret")).toBe(false);
    expect(sent.get("x-tenant")).toBe("shop");
    expect(sent.get("x-via")).toBe("cdn, edge");
    expect(sent.get("x-kept")).toBe("yes");
  });

  test("set replaces, add keeps, remove takes out, in the answer", async () => {
    const response = {
      remove: ["Server"],
      set: { "cache-control": "no-store" },
      add: { "set-cookie": "b=2" },
    };
    const result = await send(
      { response },
      {},
      { server: "x", "cache-control": "public", "set-cookie": "a=1" },
    );
    expect(result.response.headers.has("server")).toBe(false);
    expect(result.response.headers.get("cache-control")).toBe("no-store");
    expect(result.response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  });

  test("changes of the request are not changes of the answer", async () => {
    const { sent, response } = await send(
      { request: { set: { "x-up": "1" } }, response: { set: { "x-down": "1" } } },
      {},
    );
    expect([sent.get("x-up"), sent.get("x-down")]).toEqual(["1", null]);
    expect([response.headers.get("x-up"), response.headers.get("x-down")]).toEqual([null, "1"]);
  });

  test("removes before it sets", async () => {
    const { sent } = await send({ request: { remove: ["x-a"], set: { "x-a": "new" } } }, { "x-a": "old" });
    expect(sent.get("x-a")).toBe("new");
  });

  test("without options changes nothing", async () => {
    const { sent, response } = await send({}, { "x-a": "1" }, { "x-b": "2" });
    expect([sent.get("x-a"), response.headers.get("x-b")]).toEqual(["1", "2"]);
  });

  test("refuses names that frame a message or belong to one connection, saying why", () => {
    expect(messages({ request: { set: { "Content-Length": "5" } } })).toEqual([
      'request.set.Content-Length: cannot change "Content-Length": Clearway frames messages itself',
    ]);
    expect(messages({ response: { remove: ["Connection"] } })).toEqual([
      'response.remove.0: cannot change "Connection": it belongs to one connection and is not passed on',
    ]);
    for (const name of ["transfer-encoding", "trailer", "te", "upgrade", "keep-alive", "proxy-connection"]) {
      for (const change of [{ remove: [name] }, { set: { [name]: "x" } }, { add: { [name]: "x" } }]) {
        expect(messages({ request: change })).toHaveLength(1);
        expect(messages({ response: change })).toHaveLength(1);
      }
    }
  });

  test("refuses Clearway's own names, and points from host to rewrite", () => {
    expect(messages({ response: { set: { "X-Clearway-Reason": "x" } } })).toEqual([
      'response.set.X-Clearway-Reason: cannot change "X-Clearway-Reason": names with x-clearway- are Clearway\'s own',
    ]);
    expect(messages({ request: { set: { host: "a" } } })).toEqual([
      'request.set.host: cannot change "host": use the route\'s rewrite: { host: … }',
    ]);
  });

  test("refuses what is no name, and values that would end a line", () => {
    for (const name of ["", "a b", "a:b", "a\r\nb", "é"])
      expect(messages({ request: { set: { [name]: "x" } } })).toHaveLength(1);
    for (const value of ["a\r\nb", "a\nb", "a\0b", "\u007f", "snow ☃", 5]) {
      expect(messages({ response: { add: { "x-a": value } } })).toHaveLength(1);
    }
    expect(messages({ response: { add: { "x-a": "tab\tand é" } } })).toEqual([]);
  });
});
