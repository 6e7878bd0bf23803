import { expect, test } from "bun:test";
import { addressesOf, localAddress } from "../../src/host/datagrams/routes.ts";

const port = 9;

test("localAddress is the address from which this machine reaches that one, of either family", async () => {
  expect(await localAddress("127.0.0.1", port)).toBe("127.0.0.1");
  expect(await localAddress("::1", port)).toBe("::1");
});

test("localAddress rejects where there is no way, and does not say 0.0.0.0", async () => {
  // Nobody may send there without asking for it: broadcast.
  await expect(localAddress("255.255.255.255", port)).rejects.toBeInstanceOf(Error);
});

test("addressesOf has all addresses of a name, and an address for itself", async () => {
  const found = await addressesOf("localhost");
  expect(found.length).toBeGreaterThan(0);
  expect(found.filter((address) => !["127.0.0.1", "::1"].includes(address))).toEqual([]);
  expect(await addressesOf("10.0.0.1")).toEqual(["10.0.0.1"]);
  expect(await addressesOf("fd00::1")).toEqual(["fd00::1"]);
});
