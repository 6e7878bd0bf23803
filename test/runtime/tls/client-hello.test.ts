/** The name in a ClientHello: of real programs, however it is cut, and of callers that make theirs by hand. */
import { describe, expect, test } from "bun:test";
import { type Hello, HelloReader } from "../../../src/runtime/tls/client-hello.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { realHellos } from "./hellos.ts";
import { type ExtensionPart, hello, inRecords, nameExtension, nameList } from "./made-hellos.ts";

/** What the reader says once it knows; "more" when all pieces were not enough. */
function read(pieces: readonly Buffer[]): Hello | "more" {
  const reader = new HelloReader();
  for (const piece of pieces) {
    const result = reader.add(piece);
    if (result.kind !== "more") return result;
  }
  return "more";
}

function named(name: string | Buffer): Hello | "more" {
  return read([hello([nameExtension(name)])]);
}

const tls = (serverName: string | null): Hello => ({ kind: "tls", serverName });

/** Cuts into pieces of these lengths, again and again. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const end = at + lengths[index % lengths.length]!;
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

describe("HelloReader on a real hello", () => {
  for (const { name, serverName, bytes } of realHellos) {
    test(`finds the name, cut anywhere or not: ${name}`, () => {
      expect(read([bytes])).toEqual(tls(serverName));
      expect(read(cut(bytes, [1]))).toEqual(tls(serverName));
      for (let at = 1; at < bytes.length; at++) {
        expect(read([bytes.subarray(0, at)])).toBe("more");
        expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(tls(serverName));
      }
    });

    test(`finds the name in several records: ${name}`, () => {
      for (const recordBytes of [1, 2, 3, 4, 5, 7, 64, 100]) {
        const records = inRecords(bytes.subarray(5), recordBytes);
        expect(read([records])).toEqual(tls(serverName));
        expect(read(cut(records, [1]))).toEqual(tls(serverName));
        expect(read([records.subarray(0, -1)])).toBe("more");
      }
    });
  }

  test("keeps all that came, with what stands behind the hello", () => {
    const reader = new HelloReader();
    const { bytes, serverName } = realHellos[0]!;
    const early = Buffer.from([23, 3, 3, 0, 2, 1, 2]);
    expect(reader.add(bytes.subarray(0, 100)).kind).toBe("more");
    expect(reader.add(Buffer.concat([bytes.subarray(100), early]))).toEqual(tls(serverName));
    expect(reader.bytes).toEqual(Buffer.concat([bytes, early]));
  });
});

describe("HelloReader on a name", () => {
  const label = "a".repeat(63);
  const longest = `${label}.${label}.${label}.${"a".repeat(61)}`;
  const rows: readonly (readonly [what: string, name: string | Buffer, serverName: string | null])[] = [
    ["in upper case", "Shop.EXAMPLE", "shop.example"],
    ["of one label", "shop", "shop"],
    ["with digits, dashes and underscores", "a-1.b_2.x--y", "a-1.b_2.x--y"],
    ["that is an IPv4 address", "127.0.0.1", "127.0.0.1"],
    ["of 253 bytes", longest, longest],
    ["of 254 bytes", `${longest}a`, null],
    ["with a dot at its end", "shop.example.", null],
    ["that begins with a dot", ".shop.example", null],
    ["with two dots in a row", "shop..example", null],
    ["that is a dot", ".", null],
    ["that is empty", "", null],
    ["that is a wildcard", "*.shop.example", null],
    ["that is an IPv6 address", "::1", null],
    ["with a port", "shop.example:443", null],
    ["with a slash", "shop.example/a", null],
    ["with a space", "shop .example", null],
    ["with a line end", "shop.example\r\nx-a: b", null],
    ["with a NUL", "shop.example\0.evil.example", null],
    ["with a byte above 0x7f", Buffer.from("sh\xf6p.example", "latin1"), null],
    ["with a dash at a label's end", "shop-.example", null],
  ];
  for (const [what, name, serverName] of rows) {
    test(`${serverName === null ? "takes none" : "takes the one"} ${what}`, () => {
      expect(named(name)).toEqual(tls(serverName));
    });
  }

  test("takes the first host name of a list, and none of another kind", () => {
    const other = { type: 1, name: "other.example" };
    const two = [
      { type: 0, name: "first.example" },
      { type: 0, name: "second.example" },
    ];
    const listed = (names: Parameters<typeof nameList>[0]) =>
      read([hello([{ type: 0, data: nameList(names) }])]);
    expect(listed(two)).toEqual(tls("first.example"));
    expect(listed([other, two[1]!])).toEqual(tls("second.example"));
    expect(listed([other])).toEqual(tls(null));
    expect(listed([])).toEqual(tls(null));
  });

  test("takes it from among other extensions, and none that stands twice but the first", () => {
    const many: ExtensionPart[] = Array.from({ length: 200 }, (_, type) => ({
      type: type + 1,
      data: Buffer.alloc(type),
    }));
    expect(read([hello([...many, nameExtension("shop.example")])])).toEqual(tls("shop.example"));
    expect(read([hello([nameExtension("a.example"), nameExtension("b.example")])])).toEqual(tls("a.example"));
  });

  test("takes none from lengths that lead out of their place", () => {
    const whole = nameList([{ type: 0, name: "shop.example" }]);
    for (let length = 0; length < whole.length; length++) {
      const data = whole.subarray(0, length);
      expect(read([hello([{ type: 0, data }])])).toEqual(tls(null));
    }
    const { bytes } = realHellos[0]!;
    const lying = Buffer.from(bytes);
    // The session's length: everything behind it is elsewhere now.
    lying[43] = 255;
    expect(read([lying])).toEqual(tls(null));
  });
});

describe("HelloReader on other bytes", () => {
  test("knows HTTP, SSH, SSL 2 and garbage at the first byte that says so", () => {
    for (const text of [
      "GET / HTTP/1.1\r\n",
      "SSH-2.0-x\r\n",
      "\x80\x2e\x01\x03\x01",
      "\0",
      "\x17\x03\x03",
    ]) {
      expect(read([Buffer.from(text, "latin1")])).toEqual({ kind: "other" });
      expect(read([Buffer.from(text.slice(0, 1), "latin1")])).toEqual({ kind: "other" });
    }
    expect(read([Buffer.from([22])])).toBe("more");
    expect(read([Buffer.from([22, 2])])).toEqual({ kind: "other" });
  });

  test("leaves to the handshake what begins like one", () => {
    const start = [22, 3, 1, 0, 4];
    for (const bytes of [
      // Another message, an empty record, and a record of another kind in the middle.
      [...start, 2, 0, 0, 0],
      [22, 3, 1, 0, 0],
      [22, 3, 1, 0, 1, 1, 23, 3, 3, 0, 1],
    ]) {
      expect(read([Buffer.from(bytes)])).toEqual(tls(null));
      expect(read(cut(Buffer.from(bytes), [1]))).toEqual(tls(null));
    }
  });
});

describe("HelloReader on damaged hellos", () => {
  const random = new SeededRandom(20_261_123);
  const below = (limit: number) => Math.floor(random.fraction() * limit);

  function damaged(bytes: Buffer): Buffer {
    const copy = Buffer.from(bytes);
    switch (below(4)) {
      case 0:
        copy[below(copy.length)] = below(256);
        return copy;
      case 1:
        return copy.subarray(0, 1 + below(copy.length - 1));
      case 2:
        copy.writeUInt16BE(below(65_536), below(copy.length - 1));
        return copy;
      default: {
        const at = below(copy.length);
        return Buffer.concat([copy.subarray(0, at), copy.subarray(below(copy.length))]);
      }
    }
  }

  test("never throws, says the same however they are cut, and gives no odd name", () => {
    for (let round = 0; round < 4_000; round++) {
      let bytes: Buffer = realHellos[below(realHellos.length)]!.bytes;
      for (let times = 1 + below(4); times > 0 && bytes.length > 1; times--) bytes = damaged(bytes);
      const whole = read([bytes]);
      expect(read(cut(bytes, [1 + below(9), 1 + below(300)]))).toEqual(whole);
      if (whole !== "more" && whole.kind === "tls" && whole.serverName !== null) {
        expect(whole.serverName).toMatch(/^[a-z0-9_.-]{1,253}$/);
      }
    }
  });
});
