import { expect, test } from "bun:test";
import { parseStoreAddress, shownAddress } from "../../../src/filters/rate-limit/store-address.ts";

const none = { username: undefined, password: undefined, database: 0 };

test("parseStoreAddress reads what a URL of a store may say", () => {
  const plain = { host: "10.0.0.7", port: 6379, tls: false };
  expect(parseStoreAddress("redis://10.0.0.7")).toEqual({ ...none, socket: plain } as never);
  expect(parseStoreAddress("rediss://a%40b:p%3Aw@redis.example:7000/12")).toEqual({
    socket: { host: "redis.example", port: 7000, tls: true },
    username: "a@b",
    password: "p:w",
    database: 12,
  });
  expect(parseStoreAddress("redis://[::1]:7000/")).toEqual({
    ...none,
    socket: { host: "::1", port: 7000, tls: false },
  });
  expect(parseStoreAddress("unix:///run/a%20b.sock")).toEqual({
    ...none,
    socket: { path: "/run/a b.sock", tls: false },
  });
  expect(parseStoreAddress("unix://:pw@/run/redis.sock?db=2")).toEqual({
    socket: { path: "/run/redis.sock", tls: false },
    username: undefined,
    password: "pw",
    database: 2,
  });
});

test("parseStoreAddress says what was wanted, and nothing of what was written", () => {
  const secret = "se-cret";
  for (const text of [
    "",
    "redis",
    "http://a",
    "redis://",
    "redis://:se-cret@a/b",
    "redis://a:99999",
    "redis://a?x=1",
    "redis://a/1#b",
    "unix://",
    "unix:///",
    "unix://a/b?db=x",
    "unix://:se-cret@/a?db=x",
  ]) {
    const found = parseStoreAddress(text);
    expect(found).toBeString();
    expect(found).toStartWith("wanted ");
    expect(found).not.toContain(secret);
  }
});

test("shownAddress has no password", () => {
  const address = parseStoreAddress("redis://user:pw@10.0.0.7/3");
  expect(shownAddress(address as Exclude<typeof address, string>)).toBe("10.0.0.7:6379, database 3");
});
