import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Datagrams } from "../../../src/machine.ts";
import { ADDRESSES_MAX } from "../../../src/node/dns/addresses.ts";
import type { Resolver } from "../../../src/node/dns/resolver.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { DnsServer } from "./dns-server.ts";
import { dnsOf, endpointsOf, hostParts, resolverOf, type SystemTexts } from "./resolving.ts";

let dns: DnsServer;
let resolver: Resolver;

beforeEach(async () => {
  dns = await DnsServer.start();
  resolver = resolverOf({ servers: [dns.server] });
});
afterEach(() => dns.stop());

const names = (server: DnsServer) => [...new Set(server.asked.map(({ name }) => name))];

describe("Resolver, addresses", () => {
  test("Resolver uses addresses of both families, in an order of its own", async () => {
    dns.addresses("orders.test", ["fd00::1", "10.0.0.10", "10.0.0.9", "10.0.0.9"]);
    expect(await endpointsOf(resolver, "orders.test:80")).toEqual([
      "10.0.0.9:80",
      "10.0.0.10:80",
      "[fd00::1]:80",
    ]);
  });

  test("Resolver says what a name lacks", async () => {
    dns.set("empty.test", []);
    expect(await endpointsOf(resolver, "gone.test:80")).toBe(
      "nothing: gone.test: there is no such name (NXDOMAIN)",
    );
    expect(await endpointsOf(resolver, "empty.test:80")).toBe(
      "nothing: empty.test: it has no A record and it has no AAAA record",
    );
  });

  test("Resolver says which servers did not answer", async () => {
    dns.manner = "servfail";
    expect(await endpointsOf(resolver, "orders.test:80")).toBe(
      `failed: orders.test: 127.0.0.1:${dns.port} answered SERVFAIL`,
    );
  });

  test("Resolver uses one family while the other cannot be asked for", async () => {
    dns.addresses("orders.test", ["10.0.0.1"]);
    dns.fail({ name: "orders.test", type: "AAAA" });
    const found = await resolver.find(dnsOf("orders.test:80"));
    expect(found).toMatchObject({ result: "found", problem: expect.stringContaining("SERVFAIL") });
    expect(found.endpoints.length).toBe(1);
  });

  test("Resolver leaves out addresses at which nobody can be, and says so", async () => {
    const lies = ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "fe80::1", "::ffff:a00:1"];
    dns.addresses("orders.test", ["10.0.0.1", ...lies]);
    const found = await resolver.find(dnsOf("orders.test:80"));
    expect(found.endpoints.map(({ address }) => address)).toEqual([{ host: "10.0.0.1", port: 80 }]);
    expect(found.notes).toEqual([
      "nobody can be reached at 0.0.0.0, 224.0.0.1, 255.255.255.255 and 4 more: left out",
    ]);
  });

  test("Resolver takes an answer without any usable address for a failure, not for an empty service", async () => {
    dns.addresses("orders.test", ["0.0.0.0"]);
    expect(await endpointsOf(resolver, "orders.test:80")).toBe(
      "failed: orders.test: nobody can be reached at its addresses: 0.0.0.0",
    );
  });

  test("Resolver uses the first of too many addresses, and says how many there were", async () => {
    const many = Array.from({ length: 1000 }, (_, at) => `10.1.${at >> 8}.${at & 255}`);
    dns.addresses("orders.test", many.toReversed());
    const found = await resolver.find(dnsOf("orders.test:80"));
    expect(found.endpoints.map(({ address }) => "host" in address && address.host)).toEqual(
      many.slice(0, ADDRESSES_MAX),
    );
    expect(found.notes).toEqual([`1000 addresses: the first ${ADDRESSES_MAX} are used`]);
    dns.addresses("few.test", many.slice(0, ADDRESSES_MAX));
    expect((await resolver.find(dnsOf("few.test:80"))).notes).toEqual([]);
  });

  test("Resolver believes no record of a name that was not asked for", async () => {
    dns.addresses("orders.test", ["10.6.6.6"]);
    dns.manner = "other-names";
    expect(await endpointsOf(resolver, "orders.test:80")).toStartWith("nothing: ");
  });

  test("Resolver leaves out a family that this machine has no route to", async () => {
    dns.addresses("orders.test", ["10.0.0.1", "fd00::1", "fd00::2"]);
    const datagrams: Datagrams = {
      connect: async (peer, owner) => {
        if (peer.host.includes(":")) throw Object.assign(new Error("no route"), { code: "ENETUNREACH" });
        return hostParts.datagrams.connect(peer, owner);
      },
    };
    const narrow = resolverOf({ servers: [dns.server], parts: { datagrams } });
    const found = await narrow.find(dnsOf("orders.test:80"));
    expect(found.endpoints.length).toBe(1);
    expect(found.notes).toEqual(["this machine has no route to IPv6 addresses: 2 left out"]);
    // Without any route the network is down, and what it will have is not known.
    dns.addresses("six.test", ["fd00::1"]);
    expect(await endpointsOf(narrow, "six.test:80")).toEqual(["[fd00::1]:80"]);
  });

  test("Resolver asks other servers after configure, and keeps what it knows when they are away", async () => {
    dns.addresses("orders.test", ["10.0.0.1"], 300);
    expect(await endpointsOf(resolver, "orders.test:80")).toEqual(["10.0.0.1:80"]);
    const other = await DnsServer.start();
    other.addresses("orders.test", ["10.0.0.2"], 300);
    resolver.configure({ servers: [other.server], timeoutMs: 10_000 });
    expect(await endpointsOf(resolver, "orders.test:80")).toEqual(["10.0.0.2:80"]);
    await other.stop();
    resolver.configure({ servers: [other.server], timeoutMs: 9_000 });
    expect(await resolver.find(dnsOf("orders.test:80"))).toMatchObject({
      result: "found",
      endpoints: [{ address: { host: "10.0.0.2" } }],
      problem: expect.stringContaining("nobody listens there"),
    });
  });
});

describe("Resolver, what this machine says", () => {
  const onSystem = (texts: Partial<SystemTexts>) => resolverOf({ servers: [], texts });

  test("Resolver looks into the hosts file first, and reads it again", async () => {
    dns.addresses("orders.test", ["10.0.0.1"]);
    const clock = new VirtualClock();
    let hosts = "10.9.9.9 orders orders.test\nfd00::9 orders";
    const files = { read: async () => hosts };
    const system = resolverOf({ servers: [dns.server], parts: { files, clock } });
    expect(await endpointsOf(system, "orders.test:80")).toEqual(["10.9.9.9:80"]);
    const found = await system.find(dnsOf("orders:80"));
    expect(found.endpoints.length).toBe(2);
    hosts = "10.8.8.8 orders";
    clock.advance(found.freshUntilMs - clock.now());
    expect(await endpointsOf(system, "orders:80")).toEqual(["10.8.8.8:80"]);
    expect(dns.asked).toEqual([]);
  });

  /** The servers of resolv.conf listen on port 53: here is who does. */
  const onPort53: Datagrams = {
    connect: (peer, owner) => hostParts.datagrams.connect(peer.port === 53 ? dns.server : peer, owner),
  };

  test("Resolver asks the servers of resolv.conf, through its search list", async () => {
    dns.addresses("orders.b.test", ["10.0.0.1"]);
    const resolver = "nameserver 10.9.9.9\nsearch a.test b.test c.test\noptions ndots:2";
    const system = resolverOf({ servers: [], texts: { resolver }, parts: { datagrams: onPort53 } });
    expect(await endpointsOf(system, "orders:80")).toEqual(["10.0.0.1:80"]);
    expect(names(dns)).toEqual(["orders.a.test", "orders.b.test"]);
    expect(await endpointsOf(system, "orders.:80")).toStartWith("nothing: orders.: ");
    // A failure on the way may hide an answer: what comes later in the list does not stand in for it.
    dns.fail({ name: "shop.a.test", type: "A" });
    dns.addresses("shop.b.test", ["10.0.0.2"]);
    expect(await endpointsOf(system, "shop:80")).toStartWith("failed: ");
  });

  test("Resolver asks servers that the config names for the name as it stands there", async () => {
    const texts = { resolver: "search a.test" };
    const configured = resolverOf({ servers: [dns.server], texts });
    expect(await endpointsOf(configured, "orders:80")).toStartWith("nothing: ");
    expect(names(dns)).toEqual(["orders"]);
  });

  test("Resolver needs nobody for localhost (RFC 6761)", async () => {
    const system = onSystem({});
    expect(await endpointsOf(system, "localhost:80")).toEqual(["127.0.0.1:80", "[::1]:80"]);
    expect(await endpointsOf(system, "shop.localhost.:80")).toEqual(["127.0.0.1:80", "[::1]:80"]);
    expect(await endpointsOf(onSystem({ hosts: "127.0.0.1 localhost" }), "localhost:80")).toEqual([
      "127.0.0.1:80",
    ]);
  });
});

describe("Resolver, SRV", () => {
  const srv = (
    target: string,
    port: number,
    rest: { priority?: number; weight?: number; ttl?: number } = {},
  ) => ({ type: "SRV", ttl: 60, priority: 1, weight: 1, ...rest, target, port }) as const;

  test("Resolver takes ports and weights of SRV records, and the addresses that came along", async () => {
    dns.set("_http._tcp.test", [srv("a.test", 9001, { weight: 5 }), srv("b.test", 9002, { weight: 0 })]);
    dns.addresses("a.test", ["10.0.0.1", "fd00::1"]);
    dns.addresses("b.test", ["10.0.0.2"]);
    expect(await endpointsOf(resolver, "_http._tcp.test")).toEqual([
      "10.0.0.1:9001*5",
      "10.0.0.2:9002",
      "[fd00::1]:9001*5",
    ]);
    expect(names(dns)).toEqual(["_http._tcp.test"]);
  });

  test("Resolver asks for the addresses of targets that did not come along", async () => {
    dns.additional = "no";
    dns.set("_http._tcp.test", [srv("a.test", 9001), srv("b.test", 9001), srv("local", 9003)]);
    dns.addresses("a.test", ["10.0.0.1"]);
    dns.addresses("b.test", ["10.0.0.1"]);
    const system = resolverOf({ servers: [dns.server], texts: { hosts: "127.0.0.1 local" } });
    expect(await endpointsOf(system, "_http._tcp.test")).toEqual(["10.0.0.1:9001", "127.0.0.1:9003"]);
    expect(names(dns).sort()).toEqual(["_http._tcp.test", "a.test", "b.test"]);
  });

  test("Resolver uses the lowest priority that has an address", async () => {
    dns.set("_http._tcp.test", [
      srv("backup.test", 1, { priority: 30 }),
      srv("gone.test", 2, { priority: 10 }),
      srv("second.test", 3, { priority: 20 }),
    ]);
    dns.addresses("backup.test", ["10.0.0.1"]);
    dns.addresses("second.test", ["10.0.0.2"]);
    expect(await endpointsOf(resolver, "_http._tcp.test")).toEqual(["10.0.0.2:3"]);
  });

  test("Resolver does not go on to backups because a server is away", async () => {
    dns.set("_http._tcp.test", [srv("first.test", 1), srv("backup.test", 1, { priority: 30 })]);
    dns.addresses("backup.test", ["10.0.0.1"]);
    dns.fail({ name: "first.test", type: "A" });
    expect(await endpointsOf(resolver, "_http._tcp.test")).toStartWith("failed: ");
  });

  test("Resolver is to look again when the first of all records ends", async () => {
    const clock = new VirtualClock();
    const timed = resolverOf({
      servers: [dns.server],
      parts: { clock, random: { fraction: () => 0, id: () => "1234" } },
    });
    dns.set("_http._tcp.test", [srv("a.test", 9001, { ttl: 60 })]);
    dns.addresses("a.test", ["10.0.0.1"], 7);
    expect((await timed.find(dnsOf("_http._tcp.test"))).freshUntilMs).toBe(7000);
    dns.additional = "no";
    dns.set("_more._tcp.test", [srv("b.test", 9001, { ttl: 5 })]);
    dns.addresses("b.test", ["10.0.0.1"], 60);
    expect((await timed.find(dnsOf("_more._tcp.test"))).freshUntilMs).toBe(5000);
  });

  test("Resolver says that a service decidedly is not there, and what a name without a port asks for", async () => {
    dns.set("_none._tcp.test", [srv("", 0)]);
    dns.addresses("orders.test", ["10.0.0.1"]);
    expect(await endpointsOf(resolver, "_none._tcp.test")).toContain("its SRV records name no target");
    expect(await endpointsOf(resolver, "orders.test")).toBe(
      "nothing: orders.test: it has no SRV record; NAME:PORT asks for addresses instead",
    );
  });
});
