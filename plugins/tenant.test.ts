import { describe, expect, test } from "bun:test";
import { testFilter } from "clearway/plugin/test";
import tenant from "./tenant.ts";

const options = { hosts: { "shop.acme.example": "acme" }, under: "shop.example" };

describe("tenant", () => {
  const found: readonly (readonly [string, string])[] = [
    ["http://shop.acme.example/cart", "acme"],
    ["http://globex.shop.example/cart", "globex"],
    ["http://GLOBEX.Shop.Example:8080/cart", "GLOBEX".toLowerCase()],
    ["http://globex.shop.example./cart?a=1", "globex"],
  ];
  for (const [url, name] of found) {
    test(`tells the service that ${url} is ${name}'s`, async () => {
      await using filter = testFilter(tenant, options);
      await filter.request(url, { headers: { "x-tenant": "forged" } });
      expect(filter.received[0]!.headers.get("x-tenant")).toBe(name);
      expect(filter.vars).toMatchObject({ tenant: name });
    });
  }

  for (const url of [
    "http://shop.example/",
    "http://a.b.shop.example/",
    "http://globexshop.example/",
    "http://shop.acme.example.evil.example/",
    "http://192.0.2.1/",
    "http://[2001:db8::1]/",
  ]) {
    test(`refuses ${url}, whose tenant nobody is`, async () => {
      await using filter = testFilter(tenant, options);
      const response = await filter.request(url);
      expect([response.status, response.headers.get("x-clearway-reason")]).toEqual([404, "unknown-tenant"]);
      expect(filter.received).toEqual([]);
      expect(filter.counted("tenant_unknown")).toBe(1);
    });
  }

  test("takes every other host for the fallback's", async () => {
    await using filter = testFilter(tenant, { ...options, fallback: "public", header: "x-shop" });
    await filter.request("http://elsewhere.example/");
    expect(filter.received[0]!.headers.get("x-shop")).toBe("public");
  });

  test("wants hosts that can be asked for, and names that fit a header", () => {
    for (const [wrong, message] of [
      [{}, "wanted hosts, under, or both"],
      [{ hosts: { "Shop.example:80": "a" } }, "wanted a host name in lower case, without port"],
      [{ hosts: { "shop.example": "a b" } }, "wanted the name of a tenant"],
      [{ under: ".shop.example" }, "wanted a host name in lower case"],
    ] as const) {
      expect(() => testFilter(tenant, wrong as never)).toThrow(message);
    }
  });
});
