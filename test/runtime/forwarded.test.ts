import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type ForwardedConnection, Forwarder, viaHasLoop, viaLine } from "../../src/runtime/forwarded.ts";
import { fieldTable } from "./request-heads.ts";

type Fields = readonly (readonly [string, string])[];

function forwarder(change: Partial<ForwardedConnection> = {}): Forwarder {
  return new Forwarder({
    remoteAddress: "192.0.2.7",
    scheme: "http",
    trustedHops: 0,
    pseudonym: "clearway-n1",
    identity: null,
    ...change,
  });
}

function lines(
  connection: Partial<ForwardedConnection>,
  fields: Fields = [],
  authority = "shop.example",
): string[] {
  const request = { authority, version: "1.1", fields: fieldTable(fields) } as const;
  const text = forwarder(connection).lines(request).toString("latin1");
  expect(text.endsWith("\r\n")).toBe(true);
  return text.slice(0, -2).split("\r\n");
}

/** The one line of a name, without the name. */
function line(name: string, connection: Partial<ForwardedConnection>, fields: Fields = []): string {
  const found = lines(connection, fields).filter((text) => text.startsWith(`${name}: `));
  expect(found).toHaveLength(1);
  return found[0]!.slice(name.length + 2);
}

function caller(trustedHops: number, ...values: string[]): string {
  const fields = values.map((value) => ["X-Forwarded-For", value] as const);
  return forwarder({ trustedHops }).callerAddress(fieldTable(fields));
}

const lies: Fields = [
  ["X-Forwarded-For", "1.1.1.1"],
  ["x-forwarded-proto", "https"],
  ["X-FORWARDED-HOST", "evil.example"],
  ["Forwarded", "for=1.1.1.1"],
];

describe("forwarder without trusted hops", () => {
  test("says what it saw, and nothing of what the caller said", () => {
    const seen = [
      "X-Forwarded-For: 192.0.2.7",
      "X-Forwarded-Proto: http",
      "X-Forwarded-Host: shop.example",
      "Forwarded: for=192.0.2.7;host=shop.example;proto=http",
      "Via: 1.1 clearway-n1",
    ];
    expect(lines({})).toEqual(seen);
    expect(lines({}, lies)).toEqual(seen);
    const identity = "spiffe://store.example/a";
    expect(lines({ identity }, lies)).toEqual(seen.toSpliced(4, 0, `x-clearway-identity: ${identity}`));
    expect(forwarder().callerAddress(fieldTable(lies))).toBe("192.0.2.7");
  });

  test("quotes IPv6 addresses and authorities with a port in Forwarded", () => {
    const written = lines({ remoteAddress: "2001:DB8::1", scheme: "https" }, [], "shop.example:8443");
    expect(written).toContain("X-Forwarded-For: 2001:db8::1");
    expect(written).toContain('Forwarded: for="[2001:db8::1]";host="shop.example:8443";proto=https');
    expect(written).toContain("X-Forwarded-Host: shop.example:8443");
  });

  test("writes an IPv4 peer of a listener for both families as IPv4", () => {
    expect(line("X-Forwarded-For", { remoteAddress: "::ffff:192.0.2.7" })).toBe("192.0.2.7");
  });

  test("writes unknown for a unix socket", () => {
    const written = lines({ remoteAddress: "" });
    expect(written[0]).toBe("X-Forwarded-For: unknown");
    expect(written[3]).toStartWith("Forwarded: for=unknown;");
    expect(forwarder({ remoteAddress: "" }).callerAddress(fieldTable([]))).toBe("unknown");
  });

  test("names no host when the caller named none", () => {
    const written = lines({}, [], "");
    expect(written.some((text) => text.startsWith("X-Forwarded-Host"))).toBe(false);
    expect(written[2]).toBe("Forwarded: for=192.0.2.7;proto=http");
  });

  test("keeps its lines for the next request, but not for another authority or version", () => {
    const connection = forwarder();
    const fields = fieldTable([]);
    const first = connection.lines({ authority: "a.example", version: "1.1", fields });
    expect(connection.lines({ authority: "a.example", version: "1.1", fields })).toBe(first);
    expect(String(connection.lines({ authority: "b.example", version: "1.1", fields }))).toContain(
      "b.example",
    );
    expect(String(connection.lines({ authority: "b.example", version: "1.0", fields }))).toContain(
      "Via: 1.0 ",
    );
    expect(String(connection.lines({ authority: "a.example", version: "1.1", fields }))).toBe(String(first));
  });

  test("keeps no lines of more than 1 KiB, which a caller would make every idle connection hold", () => {
    const connection = forwarder();
    const request = { authority: "a".repeat(1_000), version: "1.1", fields: fieldTable([]) } as const;
    const first = connection.lines(request);
    expect(connection.lines(request)).not.toBe(first);
    expect(connection.lines(request)).toEqual(first);
  });
});

describe("forwarder with trusted hops", () => {
  test("keeps as many addresses from the right and adds the socket's", () => {
    const fields: Fields = [["X-Forwarded-For", "6.6.6.6, 203.0.113.9,10.0.0.1"]];
    expect(line("X-Forwarded-For", { trustedHops: 1 }, fields)).toBe("10.0.0.1, 192.0.2.7");
    expect(line("X-Forwarded-For", { trustedHops: 2 }, fields)).toBe("203.0.113.9,10.0.0.1, 192.0.2.7");
    expect(line("X-Forwarded-For", { trustedHops: 5 }, fields)).toBe(
      "6.6.6.6, 203.0.113.9,10.0.0.1, 192.0.2.7",
    );
    expect(line("X-Forwarded-For", { trustedHops: 5 })).toBe("192.0.2.7");
  });

  test("takes repeated fields for one list, and passes over empty entries", () => {
    const fields: Fields = [
      ["X-Forwarded-For", "6.6.6.6, 203.0.113.9 ,"],
      ["Accept", "*/*"],
      ["X-Forwarded-For", " ,, 10.0.0.1"],
    ];
    const kept = line("X-Forwarded-For", { trustedHops: 2 }, fields);
    expect(kept.split(/[ ,]+/)).toEqual(["203.0.113.9", "10.0.0.1", "192.0.2.7"]);
  });

  test("drops everything from the first entry, from the right, that is no address", () => {
    for (const bad of [
      "<script>",
      "example.com",
      "1.2.3",
      "1.2.3.4 5",
      ":",
      "_hidden",
      "[::1",
      "1.2.3.4:http",
    ]) {
      const fields: Fields = [["X-Forwarded-For", `203.0.113.9, ${bad}, 10.0.0.1`]];
      expect(line("X-Forwarded-For", { trustedHops: 3 }, fields)).toBe("10.0.0.1, 192.0.2.7");
      expect(line("X-Forwarded-For", { trustedHops: 3 }, [["X-Forwarded-For", bad]])).toBe("192.0.2.7");
    }
  });

  test("knows the caller's address: as many entries from the right, or the leftmost there is", () => {
    expect(caller(0, "203.0.113.9")).toBe("192.0.2.7");
    expect(caller(1, "6.6.6.6, 203.0.113.9")).toBe("203.0.113.9");
    expect(caller(2, "6.6.6.6, 203.0.113.9, 10.0.0.1")).toBe("203.0.113.9");
    expect(caller(2, "203.0.113.9")).toBe("203.0.113.9");
    expect(caller(2)).toBe("192.0.2.7");
    expect(caller(1, "203.0.113.9, nonsense")).toBe("192.0.2.7");
  });

  test("knows an address with port, in brackets, with a zone, mapped, or unknown", () => {
    const written: [string, string][] = [
      ["203.0.113.9:51234", "203.0.113.9"],
      ["2001:DB8::9", "2001:db8::9"],
      ["[2001:db8::9]", "2001:db8::9"],
      ["[2001:db8::9]:443", "2001:db8::9"],
      ["fe80::1%eth0", "fe80::1"],
      ["::ffff:203.0.113.9", "203.0.113.9"],
      ["unknown", "unknown"],
    ];
    for (const [entry, address] of written) expect(caller(1, entry)).toBe(address);
  });

  test("keeps scheme and host of the outermost trusted proxy, if they are well-formed", () => {
    const said = (trustedHops: number, proto: string, host: string) =>
      lines({ trustedHops }, [
        ["X-Forwarded-Proto", proto],
        ["X-Forwarded-Host", host],
      ]).slice(1, 3);
    const own = ["X-Forwarded-Proto: http", "X-Forwarded-Host: shop.example"];
    const kept = ["X-Forwarded-Proto: https", "X-Forwarded-Host: www.example:8443"];
    expect(said(0, "https", "www.example:8443")).toEqual(own);
    expect(said(1, "https", "www.example:8443")).toEqual(kept);
    expect(said(2, "gopher, https, http", "evil.example, www.example:8443, shop.example")).toEqual(kept);
    expect(said(1, "javascript", "a b")).toEqual(own);
    expect(said(1, "", "a.example\t")).toEqual(["X-Forwarded-Proto: http", "X-Forwarded-Host: a.example"]);
    expect(said(1, "https", "[2001:db8::1]:80")[1]).toBe("X-Forwarded-Host: [2001:db8::1]:80");
  });

  test("keeps as many elements of Forwarded and adds its own", () => {
    const own = "for=192.0.2.7;host=shop.example;proto=http";
    const said = (trustedHops: number, ...values: string[]) =>
      line(
        "Forwarded",
        { trustedHops },
        values.map((value) => ["forwarded", value] as const),
      );
    expect(said(1, "for=6.6.6.6, for=203.0.113.9;proto=https")).toBe(`for=203.0.113.9;proto=https, ${own}`);
    expect(said(2, 'For="[2001:db8::1]:80" ,by=_x;host="a, b;\\"c"')).toBe(
      `For="[2001:db8::1]:80", by=_x;host="a, b;\\"c", ${own}`,
    );
    expect(said(2, "for=203.0.113.9", "for=10.0.0.1")).toBe(`for=203.0.113.9, for=10.0.0.1, ${own}`);
    expect(said(1, "")).toBe(own);
  });

  test.each([
    "for",
    "for=",
    "for=a b",
    "for=[::1]",
    'for="a',
    'for="a\\"',
    "for=a;",
    ";for=a",
    "for=a;;by=b",
    "for=a,for",
    "for = a",
    "for=a;for=b",
    "for=a;FOR=b",
    ",",
    "for=\u00e9",
  ])("drops a malformed Forwarded whole: %s", (value) => {
    const fields: Fields = [["Forwarded", value]];
    expect(line("Forwarded", { trustedHops: 3 }, fields)).toBe("for=192.0.2.7;host=shop.example;proto=http");
  });

  test("writes the same lines whatever it wrote before", () => {
    const versions = ["1.0", "1.1"] as const;
    const request = fc.record({
      authority: fc.constantFrom("a.example", "b.example", "long".repeat(150)),
      version: fc.constantFrom(...versions),
      addresses: fc.constantFrom("203.0.113.9", "?"),
      scheme: fc.constantFrom("https", "?"),
      host: fc.constantFrom("www.example", "?"),
      elements: fc.constantFrom("for=a", "?"),
    });
    fc.assert(
      fc.property(fc.nat(1), fc.array(request, { minLength: 30, maxLength: 60 }), (trustedHops, requests) => {
        const connection = forwarder({ trustedHops });
        for (const { authority, version, addresses, scheme, host, elements } of requests) {
          const fields = fieldTable([
            ["X-Forwarded-For", addresses],
            ["X-Forwarded-Proto", scheme],
            ["X-Forwarded-Host", host],
            ["Forwarded", elements],
          ]);
          const head = { authority, version, fields };
          const written = connection.lines(head).toString("latin1");
          expect(written).toBe(forwarder({ trustedHops }).lines(head).toString("latin1"));
        }
      }),
    );
  });

  test("writes no line break and no second line of a name, whatever came", () => {
    const name = fc.constantFrom("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded");
    const character = fc.constantFrom(...'a1.:[]%;="\\, \t?()\x80\xff');
    const value = fc.array(character, { maxLength: 20 }).map((characters) => characters.join(""));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 4 }), (fields) => {
        const names = lines({ trustedHops: 2 }, fields).map((text) => text.split(": ")[0]!);
        expect(names).toEqual([
          "X-Forwarded-For",
          "X-Forwarded-Proto",
          "X-Forwarded-Host",
          "Forwarded",
          "Via",
        ]);
      }),
      { numRuns: 500 },
    );
  });
});

describe("viaLine", () => {
  test("names the version that was received, and this node", () => {
    expect(viaLine("1.0", "clearway-n1")).toBe("Via: 1.0 clearway-n1\r\n");
  });
});

describe("viaHasLoop", () => {
  const own = "clearway-n1";
  test.each([
    "1.1 clearway-n1",
    "1.0 fred, 1.1 clearway-n1 (x), 2 y",
    "HTTP/1.1\tclearway-n1",
    "1.1 a (b\\), c), 1.1 clearway-n1",
  ])("finds this node in %s", (via) => {
    expect(viaHasLoop(via, own)).toBe(true);
  });
  test.each([
    "",
    "1.1 fred",
    "1.1 clearway-n12",
    "1.1 x-clearway-n1",
    "1.1 fred (1.1 clearway-n1)",
    "1.1 a (b, 1.1 clearway-n1, (c))",
    "clearway-n1 1.1",
  ])("does not find it in %s", (via) => {
    expect(viaHasLoop(via, own)).toBe(false);
  });
});
