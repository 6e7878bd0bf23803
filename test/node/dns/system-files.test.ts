import { describe, expect, test } from "bun:test";
import {
  candidatesOf,
  parseHostsFile,
  parseResolverFile,
  REREAD_MS,
  SystemFiles,
} from "../../../src/node/dns/system-files.ts";
import { VirtualClock } from "../../virtual-clock.ts";

describe("parseResolverFile", () => {
  test("parseResolverFile reads servers, the last search and ndots", () => {
    const text = `# by the network manager
search first.example
nameserver 10.0.0.2
; nameserver 10.0.0.3
nameserver fd00::2
  nameserver fe80::1%eth0
nameserver 10.0.0.5
search default.svc.cluster.local. SVC.cluster.local
options timeout:3 ndots:5 attempts:1
sortlist 130.155.160.0/255.255.240.0
`;
    expect(parseResolverFile(text)).toEqual({
      servers: [
        { host: "10.0.0.2", port: 53 },
        { host: "fd00::2", port: 53 },
        { host: "fe80::1%eth0", port: 53 },
      ],
      search: ["default.svc.cluster.local", "svc.cluster.local"],
      dots: 5,
    });
  });

  test("parseResolverFile has the C library's defaults where nothing is said", () => {
    expect(parseResolverFile("")).toEqual({
      servers: [{ host: "127.0.0.1", port: 53 }],
      search: [],
      dots: 1,
    });
    expect(parseResolverFile("domain lan\noptions ndots:99\nnameserver")).toMatchObject({
      search: ["lan"],
      dots: 15,
    });
    expect(parseResolverFile("search .")).toMatchObject({ search: [] });
  });
});

test("parseHostsFile reads names and their aliases, of both families, without case", () => {
  const text = `127.0.0.1\tlocalhost # here
::1 localhost ip6-localhost
10.0.0.1 Orders.internal orders orders
# 10.0.0.2 orders
FD00::1 orders

`;
  const hosts = parseHostsFile(text);
  expect(Object.fromEntries(hosts)).toEqual({
    localhost: ["127.0.0.1", "::1"],
    "ip6-localhost": ["::1"],
    "orders.internal": ["10.0.0.1"],
    orders: ["10.0.0.1", "fd00::1"],
  });
});

test("candidatesOf searches as the C library does", () => {
  const rules = { search: ["a.test", "b.test"], dots: 2 };
  expect(candidatesOf("orders", rules)).toEqual(["orders.a.test", "orders.b.test", "orders"]);
  expect(candidatesOf("orders.x", rules)).toEqual(["orders.x.a.test", "orders.x.b.test", "orders.x"]);
  expect(candidatesOf("orders.x.y", rules)).toEqual(["orders.x.y", "orders.x.y.a.test", "orders.x.y.b.test"]);
  expect(candidatesOf("orders.", rules)).toEqual(["orders"]);
  expect(candidatesOf("orders", { search: [], dots: 1 })).toEqual(["orders"]);
});

test("SystemFiles reads a changed file again after a while, and a missing one as empty", async () => {
  const clock = new VirtualClock();
  const texts: Record<string, string> = { "/etc/hosts": "10.0.0.1 orders" };
  let reads = 0;
  const files = {
    read: async (path: string) => {
      reads++;
      const text = texts[path];
      if (text === undefined) throw Object.assign(new Error("none"), { code: "ENOENT" });
      return text;
    },
  };
  const system = new SystemFiles(files, clock);
  expect((await system.hosts()).get("orders")).toEqual(["10.0.0.1"]);
  expect((await system.resolver()).servers).toEqual([{ host: "127.0.0.1", port: 53 }]);
  texts["/etc/hosts"] = "10.0.0.2 orders";
  texts["/etc/resolv.conf"] = "nameserver 10.9.9.9";
  clock.advance(REREAD_MS - 1);
  expect((await system.hosts()).get("orders")).toEqual(["10.0.0.1"]);
  expect(reads).toBe(2);
  clock.advance(1);
  const both = await Promise.all([system.hosts(), system.hosts()]);
  expect(both.map((hosts) => hosts.get("orders"))).toEqual([["10.0.0.2"], ["10.0.0.2"]]);
  expect((await system.resolver()).servers).toEqual([{ host: "10.9.9.9", port: 53 }]);
  expect(reads).toBe(4);
});
