import { afterEach, beforeEach, expect, test } from "bun:test";
import { ownAddresses } from "../../../src/host/addresses/node.ts";
import { hostNames } from "../../../src/node/dns/host-names.ts";
import { DnsServer } from "./dns-server.ts";
import { filesOf, hostParts } from "./resolving.ts";

let dns: DnsServer;
beforeEach(async () => {
  dns = await DnsServer.start();
});
afterEach(() => dns.stop());

function names() {
  const files = filesOf({ hosts: "192.0.2.7 printer.test\n", resolver: "" });
  return hostNames({ ...hostParts, files }, ownAddresses);
}

test("hostNames finds addresses by DNS and by the hosts file, and keeps them for as long as they live", async () => {
  const resolver = { servers: [dns.server], timeoutMs: 10_000 };
  dns.addresses("host.test", ["203.0.113.9", "2001:db8::9"]);
  const { find } = names();
  const found = { addresses: ["203.0.113.9", "2001:db8::9"], problem: null };
  expect(await find("host.test", resolver)).toEqual(found);
  const asked = dns.asked.length;
  expect(await find("host.test", resolver)).toEqual(found);
  expect(dns.asked.length).toBe(asked);
  expect(await find("printer.test", resolver)).toEqual({ addresses: ["192.0.2.7"], problem: null });
  expect(await find("localhost", resolver)).toEqual({ addresses: ["127.0.0.1", "::1"], problem: null });
  expect(await find("gone.test", resolver)).toEqual({
    addresses: [],
    problem: "gone.test: there is no such name (NXDOMAIN)",
  });
});

test("hostNames asks no server for what is no name", async () => {
  const resolver = { servers: [dns.server], timeoutMs: 10_000 };
  const { find } = names();
  const wrong = [
    "",
    ".",
    "a..b",
    `${"a".repeat(64)}.test`,
    `${"a.".repeat(127)}test`,
    "a%20b",
    "a*b",
    "[::1]",
  ];
  for (const name of wrong)
    expect(await find(name, resolver)).toEqual({
      addresses: [],
      problem: `${name} is no name that DNS could know`,
    });
  expect(dns.asked).toEqual([]);
});

test("hostNames knows the addresses of this machine", async () => {
  expect(await names().own()).toContain("127.0.0.1");
});
