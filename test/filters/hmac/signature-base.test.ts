import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { signatureBase, uncovered } from "../../../src/filters/hmac/signature-base.ts";
import { parseSignature, parseSignatureInput } from "../../../src/filters/hmac/signature-input.ts";

const request = new Request("http://example.com/foo?param=Value&Pet=dog", {
  method: "POST",
  headers: { date: "Tue, 20 Apr 2021 02:07:55 GMT", "content-type": "application/json" },
});

test("signatureBase makes what RFC 9421 signs in its section B.2.5", () => {
  const written = '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"';
  const input = parseSignatureInput(`sig-b25=${written}`)!;
  const base = signatureBase(request, input)!;
  expect(base.split("\n")).toEqual([
    '"date": Tue, 20 Apr 2021 02:07:55 GMT',
    '"@authority": example.com',
    '"content-type": application/json',
    `"@signature-params": ${written}`,
  ]);
  const key = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
  const signature = createHmac("sha256", Buffer.from(key, "base64")).update(base).digest("base64");
  expect(signature).toBe("pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
  expect(parseSignature(`sig-b25=:${signature}:`, "sig-b25")).toHaveLength(32);
});

test("signatureBase knows the components of RFC 9421, section 2.2", () => {
  const names = ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"];
  const list = names.map((name) => `"${name}"`).join(" ");
  const input = parseSignatureInput(`sig=(${list});created=1;keyid="k"`)!;
  const shouted = new Request("http://EXAMPLE.com:80/foo?param=Value&Pet=dog", { method: "POST" });
  expect(signatureBase(shouted, input)!.split("\n").slice(0, -1)).toEqual([
    '"@method": POST',
    '"@target-uri": http://example.com/foo?param=Value&Pet=dog',
    '"@authority": example.com',
    '"@scheme": http',
    '"@request-target": /foo?param=Value&Pet=dog',
    '"@path": /foo',
    '"@query": ?param=Value&Pet=dog',
  ]);
  const bare = parseSignatureInput('sig=("@query");created=1;keyid="k"')!;
  expect(signatureBase(new Request("http://a/"), bare)).toStartWith('"@query": ?\n');
});

test("uncovered knows what one component says of others", () => {
  const wanted = ["@method", "@authority", "@path", "@query"];
  expect(uncovered(["@method", "@target-uri"], wanted)).toBeNull();
  expect(uncovered(["@method", "@authority", "@request-target"], wanted)).toBeNull();
  expect(uncovered(["@method", "@request-target"], wanted)).toBe("@authority");
});

describe("parseSignatureInput", () => {
  test("reads the parameters, in any order", () => {
    const text =
      ' sig1=("@method" "x-a");keyid="a b";nonce="n,;=";expires=20;alg="hmac-sha256";created=10;tag="t" ';
    expect(parseSignatureInput(text)).toMatchObject({
      label: "sig1",
      components: ["@method", "x-a"],
      createdSeconds: 10,
      expiresSeconds: 20,
      keyId: "a b",
    });
  });

  const end = ';created=1;keyid="k"';
  test.each([
    "",
    "sig",
    `sig=${end}`,
    `sig=("@method" "@method")${end}`,
    `sig=("@method"  "@path")${end}`,
    `sig=("@method";req)${end}`,
    `sig=("@query-param";name="a")${end}`,
    `sig=("@status")${end}`,
    `sig=("X-Upper")${end}`,
    `sig=("a\\"b")${end}`,
    `sig=("@method")${end}, other=("@path")${end}`,
    `sig=("@method")${end};created=2`,
    'sig=("@method");created=1',
    'sig=("@method");keyid="k"',
    'sig=("@method");created="1";keyid="k"',
    'sig=("@method");created=-1;keyid="k"',
    'sig=("@method");created=1;keyid=k',
    'sig=("@method");created=1;keyid="k";expires="2"',
    'sig=("@method");created=1;keyid="k";alg="ed25519"',
    `sig=(${'"a" '.repeat(2000)}"b")${end}`,
  ])("refuses %p", (text) => {
    expect(parseSignatureInput(text)).toBeNull();
  });
});

test("parseSignature wants one signature with the label, of 32 bytes", () => {
  const good = Buffer.alloc(32, 1).toString("base64");
  expect(parseSignature(`sig=:${good}:`, "sig")).toHaveLength(32);
  for (const text of [
    `sig=:${good}`,
    `other=:${good}:`,
    `sig=:${good}:, a=:${good}:`,
    "sig=:AAAA:",
    `sig=${good}`,
  ])
    expect(parseSignature(text, "sig")).toBeNull();
});
