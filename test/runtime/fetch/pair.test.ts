import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { installGlobals } from "../../../src/runtime/fetch/globals.ts";
import {
  NativeHeaders,
  NativeRequest,
  NativeResponse,
  NativeStream,
} from "../../../src/runtime/fetch/natives.ts";
import { lightRequest } from "../../../src/runtime/fetch/request.ts";
import { ManualBody, requestFrom, responseFrom } from "./messages.ts";

beforeAll(installGlobals);

function members(prototype: object): string[] {
  return Object.getOwnPropertyNames(prototype).filter((name) => name !== "constructor");
}

describe("installGlobals", () => {
  test("gives instanceof for both kinds, from both classes", () => {
    const pairs = [
      [Request, NativeRequest, requestFrom([]), new NativeRequest("http://h/"), new Request("http://h/")],
      [Response, NativeResponse, responseFrom([]), new NativeResponse(), new Response()],
      [Headers, NativeHeaders, responseFrom([]).headers, new NativeHeaders(), new Headers()],
    ] as const;
    for (const [light, native, ...instances] of pairs) {
      for (const instance of instances) {
        expect([instance instanceof light, instance instanceof native]).toEqual([true, true]);
      }
      for (const other of [{}, null, "x", new Date()]) {
        expect([(other as object) instanceof light, (other as object) instanceof native]).toEqual([
          false,
          false,
        ]);
      }
    }
    expect(responseFrom([]) instanceof Request).toBe(false);
    const { body } = responseFrom([], { body: new ManualBody() });
    expect([body instanceof ReadableStream, body instanceof NativeStream]).toEqual([true, true]);
  });

  test("a subclass has only its own instances", () => {
    class Own extends Response {}
    expect([
      new Own("x") instanceof Own,
      new Own() instanceof Response,
      new Response() instanceof Own,
    ]).toEqual([true, true, false]);
  });

  test("may be called again", () => {
    const before = [Request, Response, Headers];
    installGlobals();
    expect([Request, Response, Headers]).toEqual(before);
    expect([Request.name, Response.name, Headers.name]).toEqual(["Request", "Response", "Headers"]);
  });

  test("gives every member of the real classes", () => {
    const light = requestFrom([], { body: new ManualBody() });
    const answer = responseFrom([], { body: new ManualBody() });
    for (const name of members(NativeRequest.prototype)) expect([name, name in light]).toEqual([name, true]);
    for (const name of members(NativeResponse.prototype))
      expect([name, name in answer]).toEqual([name, true]);
    const own = members(Object.getPrototypeOf(answer.body));
    for (const name of members(NativeStream.prototype))
      expect([name, own.includes(name)]).toEqual([name, true]);
  });
});

describe("Request", () => {
  test("reads url and signal only when somebody asks", () => {
    let asked = 0;
    const source = {
      method: "FOO",
      fields: { bytes: Buffer.alloc(0), offsets: new Int32Array(0), count: 0 },
      body: null,
      get url() {
        asked += 1;
        return "http://h/a";
      },
      get signal() {
        asked += 1;
        return new AbortController().signal;
      },
    };
    const came = new Request(lightRequest(source));
    expect([came.method, asked]).toEqual(["FOO", 0]);
    expect([came.url, came.url, asked]).toEqual(["http://h/a", "http://h/a", 1]);
    expect(came.signal).toBe(came.signal);
  });

  test("keeps any method; mends the case of the six", () => {
    const method = (given: string) => new Request("http://h/", { method: given }).method;
    expect(["FOO", "foo", "patch", "get", "Post", "CONNECT"].map(method)).toEqual([
      "FOO",
      "foo",
      "patch",
      "GET",
      "POST",
      "CONNECT",
    ]);
    expect(() => method("G T")).toThrow('cannot use "G T" as a method');
    expect(new Request(requestFrom([], { method: "get" })).method).toBe("get");
  });

  test("made of another takes all, and init's members before the other's", async () => {
    const aborted = AbortSignal.abort();
    const came = requestFrom(["A: 1"], { method: "FOO", body: new ManualBody(["x"]) });
    const same = new Request(came);
    expect([same.method, same.url, same.headers.get("a"), same.body === came.body]).toEqual([
      "FOO",
      came.url,
      "1",
      true,
    ]);
    const other = new Request(came, {
      method: "BAR",
      headers: { b: "2" },
      body: "y",
      signal: aborted,
      cache: "no-store",
    });
    const inherited = new Request(other, {});
    expect([other.method, other.headers.get("a"), other.headers.get("b"), await other.text()]).toEqual([
      "BAR",
      null,
      "2",
      "y",
    ]);
    expect([other.signal.aborted, other.cache, inherited.cache]).toEqual([true, "no-store", "no-store"]);
    expect(other.headers.get("content-type")).toBe("text/plain;charset=UTF-8");
    expect(came.bodyUsed).toBe(false);
  });

  test("made of a native one", async () => {
    const native = new NativeRequest("http://h/p", { method: "PUT", headers: { a: "1" }, body: "native" });
    const request = new Request(native);
    expect([request.method, request.url, request.headers.get("a"), await request.text()]).toEqual([
      "PUT",
      "http://h/p",
      "1",
      "native",
    ]);
  });

  test("refuses what is no absolute url", () => {
    expect(() => new Request("/a")).toThrow('cannot make a Request for "/a": wanted an absolute url');
    expect(new Request(new URL("http://h/a b")).url).toBe("http://h/a%20b");
  });

  test("says of itself what the standard says by default", () => {
    const {
      cache,
      credentials,
      destination,
      integrity,
      keepalive,
      mode,
      redirect,
      referrer,
      referrerPolicy,
    } = requestFrom([]);
    expect([cache, credentials, destination, integrity]).toEqual(["default", "same-origin", "", ""]);
    expect([keepalive, mode, redirect, referrer, referrerPolicy]).toEqual([
      false,
      "cors",
      "follow",
      "about:client",
      "",
    ]);
    expect(Object.prototype.toString.call(requestFrom([]))).toBe("[object Request]");
  });
});

describe("Response", () => {
  test("takes every status that a service may send, and 101", () => {
    const status = (given: number) => new Response(null, { status: given }).status;
    expect([101, 200, 599, 600, 999].map(status)).toEqual([101, 200, 599, 600, 999]);
    for (const wrong of [0, 100, 103, 199, 1000, 200.5, Number.NaN])
      expect(() => status(wrong)).toThrow(RangeError);
  });

  test("keeps the status text that came, and takes one line", () => {
    const came = responseFrom([], { status: 404, reason: "Nothing Here" });
    expect(new Response(came.body, came).statusText).toBe("Nothing Here");
    expect(new Response(null, { status: 404 }).statusText).toBe("");
    expect(() => new Response(null, { statusText: "a\r\nb" })).toThrow(TypeError);
    expect([came.ok, came.redirected, came.type, came.url]).toEqual([false, false, "default", ""]);
  });

  test("json, redirect and error", async () => {
    const json = Response.json({ a: 1 }, { status: 201, headers: { "x-a": "1" } });
    expect([
      json.status,
      json.headers.get("x-a"),
      json.headers.get("content-type"),
      await json.json(),
    ]).toEqual([201, "1", "application/json", { a: 1 }]);
    expect(() => Response.json(undefined)).toThrow(TypeError);
    const moved = Response.redirect("http://h/a b", 308);
    expect([moved.status, moved.headers.get("location")]).toEqual([308, "http://h/a%20b"]);
    expect(() => Response.redirect("http://h/", 200)).toThrow(RangeError);
    expect([Response.error().type, Response.error().status]).toEqual(["error", 0]);
  });

  for (const [what, body, type, wanted] of [
    ["text", "a", "text/plain;charset=UTF-8", "a"],
    ["bytes", new Uint8Array([97]), null, "a"],
    ["part of a buffer", new Uint8Array([1, 97, 2]).subarray(1, 2), null, "a"],
    ["an ArrayBuffer", new Uint8Array([97]).buffer, null, "a"],
    [
      "search params",
      new URLSearchParams({ a: "b c" }),
      "application/x-www-form-urlencoded;charset=UTF-8",
      "a=b+c",
    ],
    ["a Blob", new Blob(["a"], { type: "text/x" }), "text/x", "a"],
    ["a number", 5 as unknown as string, "text/plain;charset=UTF-8", "5"],
    [
      "an async iterable",
      (async function* () {
        yield new Uint8Array([97]);
      })(),
      null,
      "a",
    ],
  ] as [string, BodyInit, string | null, string][]) {
    test(`is made of ${what}`, async () => {
      const response = new Response(body);
      expect([response.headers.get("content-type"), await response.text()]).toEqual([type, wanted]);
    });
  }

  test("is made of FormData and read as FormData", async () => {
    const form = new FormData();
    form.append("a", "1");
    const response = new Response(form);
    expect(response.headers.get("content-type")).toStartWith("multipart/form-data; boundary=");
    expect((await response.formData()).get("a")).toBe("1");
  });

  test("does not change when the filter's own bytes do", async () => {
    const bytes = new Uint8Array([97]);
    const response = new Response(bytes);
    bytes[0] = 98;
    expect(await response.text()).toBe("a");
  });

  test("refuses a stream that was read or is locked", () => {
    const stream = new ReadableStream();
    stream.getReader();
    expect(() => new Response(stream)).toThrow(TypeError);
    const light = responseFrom([], { body: new ManualBody() });
    light.body!.getReader();
    expect(() => new Response(light.body)).toThrow(TypeError);
  });
});

describe("the host's fetch", () => {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) =>
      new NativeResponse(`${request.method} ${request.headers.get("x-a")} ${await request.text()}`),
  });
  afterAll(() => server.stop(true));

  test("takes a Request and a body of ours", async () => {
    const came = requestFrom(["X-A: 1"], {
      method: "PUT",
      url: `${server.url}p`,
      body: new ManualBody(["one ", "two"]),
    });
    expect(await (await fetch(came)).text()).toBe("PUT 1 one two");
    const { body } = responseFrom([], { body: new ManualBody(["three"]) });
    const headers = new Headers({ "x-a": "2" });
    const response = await fetch(String(server.url), { method: "POST", headers, body });
    expect(response).toBeInstanceOf(Response);
    expect(await response.text()).toBe("POST 2 three");
  });
});
