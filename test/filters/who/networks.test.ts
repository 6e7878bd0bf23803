import { expect, test } from "bun:test";
import { addressGroups, isInside, parseNetwork } from "../../../src/filters/who/networks.ts";

function contains(network: string, address: string): boolean {
  const parsed = parseNetwork(network);
  if (!("groups" in parsed)) throw new Error(parsed.wanted);
  return isInside(addressGroups(address)!, parsed);
}

test.each([
  ["10.0.0.0/8", "10.255.255.255", true],
  ["10.0.0.0/8", "11.0.0.0", false],
  ["192.0.2.128/25", "192.0.2.128", true],
  ["192.0.2.128/25", "192.0.2.127", false],
  ["192.0.2.6/31", "192.0.2.7", true],
  ["192.0.2.7", "192.0.2.7", true],
  ["192.0.2.7", "192.0.2.6", false],
  ["0.0.0.0/0", "203.0.113.9", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["::/0", "203.0.113.9", true],
  ["10.0.0.0/8", "::ffff:10.1.2.3", true],
  ["::ffff:10.0.0.0/104", "10.1.2.3", true],
  ["2001:db8::/32", "2001:db8:ffff::1", true],
  ["2001:db8::/32", "2001:db9::1", false],
  ["2001:db8::/33", "2001:db8:8000::", false],
  ["2001:DB8::1", "2001:0db8:0:0:0:0:0:1", true],
  ["fe80::/10", "fe80::1%eth0", true],
  ["::1", "::1", true],
  ["::1", "127.0.0.1", false],
])("the network %p holds %p: %p", (network, address, wanted) => {
  expect(contains(network, address)).toBe(wanted);
});

test.each([
  "",
  "unknown",
  "10.0.0",
  "10.0.0.256",
  "10.0.0.01",
  "1.2.3.4.5",
  "0x0a.0.0.1",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7::8",
  "12345::",
  "g::",
  "::1.2.3",
  "1.2.3.4::",
  "[::1]",
])("%p is no address", (text) => {
  expect(addressGroups(text)).toBeNull();
});

test.each([
  ["10.0.0.1/8", "wanted only zeros behind the first 8 bits"],
  ["2001:db8::1/64", "wanted only zeros behind the first 64 bits"],
  ["10.0.0.0/33", "wanted a length from 0 to 32 behind the slash"],
  ["::/129", "wanted a length from 0 to 128 behind the slash"],
  ["10.0.0.0/", "wanted a length from 0 to 32 behind the slash"],
  ["10.0.0.0/8/8", "wanted an address or a network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"],
  ["fe80::1%eth0", "wanted an address or a network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"],
])("%p is no network: %p", (text, wanted) => {
  expect(parseNetwork(text)).toEqual({ wanted });
});
