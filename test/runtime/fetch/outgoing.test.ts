import { beforeAll, describe, expect, test } from "bun:test";
import { installGlobals } from "../../../src/runtime/fetch/globals.ts";
import { NativeRequest, NativeResponse } from "../../../src/runtime/fetch/natives.ts";
import { outgoingRequest, outgoingResponse } from "../../../src/runtime/fetch/outgoing.ts";
import { bytesOf, written } from "./both-pairs.ts";
import { ManualBody, requestFrom, responseFrom } from "./messages.ts";

beforeAll(installGlobals);

describe("outgoingResponse", () => {
  test("of an untouched Response is what came", () => {
    const source = new ManualBody(["x"]);
    const outgoing = outgoingResponse(
      responseFrom(["B: 1", "A: 2"], { status: 799, reason: "Odd", body: source }),
    );
    expect(outgoing).toMatchObject({ status: 799, reason: "Odd", body: { kind: "source", source } });
    expect([outgoing.fields.removed, outgoing.fields.added]).toEqual([[], []]);
  });

  test("keeps order, case and repeats of what no filter changed", () => {
    const came = responseFrom(["Zed: 1", "x-A: 1", "ACCEPT: b", "X-a: 2", "Set-Cookie: q"]);
    came.headers.set("accept", "c");
    expect(written(outgoingResponse(new Response(came.body, came)).fields)).toEqual([
      ...["Zed", "1", "x-A", "1", "X-a", "2", "Set-Cookie", "q"],
      ...["accept", "c"],
    ]);
  });

  test("has a reason only when one came or was given", () => {
    const came = responseFrom([], { status: 404, reason: "" });
    const reasons = [came, new Response(null, { status: 404 }), new Response(null, { statusText: "Fine" })];
    expect(reasons.map((response) => outgoingResponse(response).reason)).toEqual(["", null, "Fine"]);
    expect(outgoingResponse(new Response(null, came)).reason).toBe("");
  });

  test("of a Response that a filter made has no source", async () => {
    const { fields, body } = outgoingResponse(new Response("made", { headers: { "X-A": "1" } }));
    expect(fields).toEqual({
      source: null,
      removed: [],
      added: ["X-A", "1", "content-type", "text/plain;charset=UTF-8"],
    });
    expect([body.kind, (await bytesOf(body)).toString()]).toEqual(["bytes", "made"]);
  });

  test("of a native Response takes all its fields and its stream", async () => {
    // Not text, for which some hosts add a content-type.
    const native = new NativeResponse(Buffer.from("real"), {
      status: 203,
      headers: { "X-A": "1", "content-length": "4" },
    });
    const { status, fields, body } = outgoingResponse(native);
    expect([status, fields.source, fields.added]).toEqual([203, null, ["x-a", "1"]]);
    expect([body.kind, (await bytesOf(body)).toString()]).toEqual(["stream", "real"]);
    const used = new NativeResponse("real");
    await used.text();
    expect(() => outgoingResponse(used)).toThrow("not put back");
  });
});

describe("framing", () => {
  const lines = ["Content-Length: 4", "X-A: 1", "Transfer-Encoding: chunked"];

  test("of an untouched body stays as it came, whatever a filter did to it", () => {
    const came = responseFrom(lines, { body: new ManualBody(["body"]) });
    came.headers.set("content-length", "99");
    came.headers.delete("transfer-encoding");
    came.headers.set("x-a", "2");
    const { removed, added } = outgoingResponse(new Response(came.body, came)).fields;
    expect([removed, added]).toEqual([[1], ["x-a", "2"]]);
  });

  test("goes with a body that was replaced, read or cloned", async () => {
    const fresh = () => responseFrom(lines, { body: new ManualBody(["body"]) });
    const read = fresh();
    await read.text();
    const cloned = fresh();
    cloned.clone();
    const replaced = fresh();
    for (const response of [read, cloned, new Response("other", replaced), new Response(null, replaced)]) {
      const { removed, added } = outgoingResponse(response).fields;
      expect([
        removed.toSorted(),
        added.filter((_, i) => i % 2 === 0 && added[i] !== "content-type"),
      ]).toEqual([[0, 2], []]);
    }
  });

  test("of no body stays: HEAD, 204 and 304 keep their content-length", () => {
    const came = responseFrom(["Content-Length: 4"], { status: 304 });
    came.headers.set("x-a", "1");
    expect(outgoingResponse(new Response(null, came)).fields).toMatchObject({
      removed: [],
      added: ["x-a", "1"],
    });
  });

  test("that a filter gave to its own answer is dropped", () => {
    const headers = { "Content-Length": "7", "x-a": "1", "transfer-encoding": "chunked" };
    expect(outgoingResponse(new Response(null, { headers })).fields.added).toEqual(["x-a", "1"]);
  });
});

describe("outgoingRequest", () => {
  const lines = ["Host: shop.example", "X-A: 1", "x-B: 2", "X-A: 3", "Content-Length: 4"];
  const come = (method = "POST") => requestFrom(lines, { method, body: new ManualBody(["body"]) });

  test("of an untouched Request is what came, any method", () => {
    const came = come("FOO");
    expect(outgoingRequest(came, came)).toMatchObject({ method: "FOO", url: null, body: { kind: "source" } });
    expect(outgoingRequest(came, came).fields).toMatchObject({ removed: [], added: [] });
  });

  test("of one rebuilt from it is its differences", () => {
    const came = come();
    const rebuilt = new Request(came, { method: "PATCH" });
    rebuilt.headers.delete("x-a");
    rebuilt.headers.set("x-c", "4");
    const outgoing = outgoingRequest(rebuilt, came);
    expect([outgoing.method, outgoing.url, outgoing.body.kind]).toEqual(["PATCH", null, "source"]);
    expect(outgoing.fields).toMatchObject({ removed: [1, 3], added: ["x-c", "4"] });
  });

  test("of one made anew is compared with what came: only differences are written", () => {
    const came = come();
    const headers = { ...Object.fromEntries(came.headers), "x-b": "changed", "x-new": "1" };
    for (const Made of [Request, NativeRequest]) {
      const { fields, body } = outgoingRequest(
        new Made(came.url, { method: "POST", headers, body: "new" }),
        came,
      );
      // Its length came with the old body.
      expect([fields.source!.count, fields.removed.toSorted()]).toEqual([5, [2, 4]]);
      const { added } = fields;
      const at = added.indexOf("x-b");
      expect(added.slice(at, at + 4)).toEqual(["x-b", "changed", "x-new", "1"]);
      expect(["bytes", "stream"]).toContain(body.kind);
    }
  });

  test("keeps the host when another made it or took it out, and lets a filter replace it", () => {
    const came = come();
    const anew = new Request(came.url, { headers: { "x-a": "1, 3", "x-b": "2" } });
    expect(outgoingRequest(anew, came).fields).toMatchObject({ removed: [4], added: [] });
    const without = new Request(came);
    without.headers.delete("host");
    expect(outgoingRequest(without, came).fields.removed).toEqual([]);
    without.headers.set("host", "other.example");
    expect(outgoingRequest(without, came).fields).toMatchObject({
      removed: [0],
      added: ["host", "other.example"],
    });
  });

  test("has a url only when it is another one", () => {
    const came = requestFrom(lines, { url: "http://h/a/../{b}?c" });
    const url = (given: string) => outgoingRequest(new Request(given), came).url;
    expect([url("http://h/a/../{b}?c"), url("http://h/other")]).toEqual([null, "http://h/other"]);
    expect(outgoingRequest(new Request(came, { headers: {} }), came).url).toBeNull();
  });

  test("of a Request that came from no wire adds all its fields", () => {
    const own = new Request("http://orders/x", { headers: { "X-A": "1" } });
    expect(outgoingRequest(own, own)).toEqual({
      method: "GET",
      url: null,
      fields: { source: null, removed: [], added: ["X-A", "1"] },
      body: { kind: "none" },
    });
  });

  test("sends a body that a filter put in place of the one it read", async () => {
    const came = come();
    const reader = came.body!.getReader();
    await reader.read();
    const { body } = outgoingRequest(new Request(came, { body: "put back" }), came);
    expect((await bytesOf(body)).toString()).toBe("put back");
  });
});
