import { describe, expect, test } from "bun:test";
import { editsOf, LightHeaders } from "../../../src/runtime/fetch/headers.ts";
import { NativeHeaders } from "../../../src/runtime/fetch/natives.ts";
import { responseFrom } from "./messages.ts";

const lines = [
  "Zeta: 1",
  "X-B: 2",
  "Set-Cookie: a=1",
  "x-b: 3",
  "cookie: p",
  "Cookie: q",
  "set-cookie: b=2",
  "empty: ",
];
const came = () => responseFrom(lines).headers as unknown as LightHeaders;
const edits = (headers: LightHeaders) => {
  const { removed, added } = editsOf(headers);
  return { removed, added };
};

describe("Headers", () => {
  test("get finds a field in any case and joins its repeats", () => {
    const headers = came();
    expect([headers.get("ZETA"), headers.get("x-b"), headers.get("cookie")]).toEqual(["1", "2, 3", "p; q"]);
    expect([headers.get("absent"), headers.get("zet"), headers.has("X-b"), headers.has("absent")]).toEqual([
      null,
      null,
      true,
      false,
    ]);
  });

  test("does not show the transfer-encoding of the wire, and leaves it there", () => {
    const headers = responseFrom(["X-A: 1", "Transfer-Encoding: chunked"]).headers as unknown as LightHeaders;
    expect([headers.get("transfer-encoding"), headers.has("Transfer-Encoding")]).toEqual([null, false]);
    expect([...headers]).toEqual([["x-a", "1"]]);
    headers.delete("transfer-encoding");
    headers.set("transfer-encoding", "gzip");
    expect(headers.get("transfer-encoding")).toBe("gzip");
    expect(edits(headers)).toEqual({ removed: [], added: ["transfer-encoding", "gzip"] });
  });

  test("get gives bytes over 0x7f as latin1", () => {
    expect(responseFrom(["x-name: J\u00fcrgen"]).headers.get("x-name")).toBe("J\u00fcrgen");
  });

  test("set of a field that came removes every repeat and adds the new one", () => {
    const headers = came();
    headers.set("X-b", "new");
    headers.set("x-B", "newer");
    expect(headers.get("x-b")).toBe("newer");
    expect(edits(headers)).toEqual({ removed: [1, 3], added: ["x-B", "newer"] });
  });

  test("append records nothing but the addition", () => {
    const headers = came();
    headers.append("X-B", "4");
    headers.append("Set-Cookie", "c=3");
    expect(headers.get("x-b")).toBe("2, 3, 4");
    expect(headers.getSetCookie()).toEqual(["a=1", "b=2", "c=3"]);
    expect(edits(headers)).toEqual({ removed: [], added: ["X-B", "4", "Set-Cookie", "c=3"] });
  });

  test("delete takes out what came and what was added", () => {
    const headers = came();
    headers.append("zeta", "2");
    headers.delete("ZETA");
    headers.delete("absent");
    expect(headers.has("zeta")).toBe(false);
    expect(edits(headers)).toEqual({ removed: [0], added: [] });
  });

  test("iterates sorted, repeats joined, cookies apart", () => {
    expect([...came()]).toEqual([
      ["cookie", "p; q"],
      ["empty", ""],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x-b", "2, 3"],
      ["zeta", "1"],
    ]);
    expect([...came().keys()].length).toBe(6);
    expect([...came().values()][4]).toBe("2, 3");
  });

  test("iteration sees what changes meanwhile, as the standard says", () => {
    const headers = new LightHeaders({ a: "1", c: "3" });
    const seen: string[] = [];
    for (const [name] of headers) {
      seen.push(name);
      if (name === "a") headers.append("b", "2");
    }
    expect(seen).toEqual(["a", "b", "c"]);
  });

  test("forEach gives value, name, headers and its this", () => {
    const headers = new LightHeaders({ a: "1" });
    const self = {};
    headers.forEach(function (this: unknown, value, name, all) {
      expect([this, value, name, all as unknown]).toEqual([self, "1", "a", headers]);
    }, self);
  });

  test("a copy and its original do not change each other", () => {
    const one = came();
    one.set("x-one", "1");
    const other = new LightHeaders(one);
    other.set("x-other", "1");
    one.delete("zeta");
    expect([one.has("x-other"), other.has("zeta"), other.get("x-one")]).toEqual([false, true, "1"]);
    expect(edits(one)).toEqual({ removed: [0], added: ["x-one", "1"] });
    expect(edits(other)).toEqual({ removed: [], added: ["x-one", "1", "x-other", "1"] });
  });

  test("is made of pairs, of a record, of native Headers", () => {
    const native = new NativeHeaders([
      ["a", "1"],
      ["set-cookie", "x"],
      ["set-cookie", "y"],
    ]);
    for (const input of [native, [...native]]) {
      const headers = new LightHeaders(input as Headers);
      expect([headers.get("a"), headers.getSetCookie()]).toEqual(["1", ["x", "y"]]);
    }
    expect(new LightHeaders({ a: 1 as unknown as string }).get("a")).toBe("1");
  });

  for (const [what, make] of [
    ["null", () => new LightHeaders(null as never)],
    ["a string", () => new LightHeaders("a: b" as never)],
    ["half a pair", () => new LightHeaders([["a"]])],
    ["a name with a space", () => new LightHeaders({ "a b": "c" })],
    ["an empty name", () => came().get("")],
    ["a name with a line end", () => came().append("a\r\nb", "c")],
    ["a name beyond latin1", () => came().set("\u0100", "c")],
    ["a value with a line end inside", () => came().set("a", "x\r\ny: z")],
    ["a value with NUL", () => came().append("a", "x\0y")],
    ["a value beyond latin1", () => came().set("a", "\u20ac")],
    ["a value with a control character", () => came().set("a", "\u0001")],
  ] as [string, () => unknown][]) {
    test(`refuses ${what}`, () => expect(make).toThrow(TypeError));
  }

  test("a refused value changes nothing", () => {
    const headers = came();
    expect(() => headers.set("zeta", "a\nb")).toThrow('cannot set header zeta to "a\\nb"');
    expect(headers.get("zeta")).toBe("1");
  });

  test("takes the white space around a value away", () => {
    const headers = new LightHeaders({ a: " \t x y \r\n" });
    expect(headers.get("a")).toBe("x y");
  });

  test("has every member of the real one", () => {
    for (const name of Object.getOwnPropertyNames(NativeHeaders.prototype)) {
      expect([name, name in LightHeaders.prototype]).toEqual([name, true]);
    }
    expect(Object.prototype.toString.call(came())).toBe("[object Headers]");
    expect(came().count).toBe(6);
    expect(came().toJSON()).toMatchObject({ "x-b": "2, 3", "set-cookie": ["a=1", "b=2"] });
    expect(came().getAll("Set-Cookie")).toEqual(["a=1", "b=2"]);
  });
});
