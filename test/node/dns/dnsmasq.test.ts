/** Against a DNS server that others wrote. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Resolver } from "../../../src/node/dns/resolver.ts";
import { freePort } from "../../free-ports.ts";
import { until } from "../../program.ts";
import { dnsOf, endpointsOf, resolverOf } from "./resolving.ts";

const dnsmasq = Bun.which("dnsmasq");
const skipped = dnsmasq === null ? "skipped: needs dnsmasq (apt-get install dnsmasq-base): " : "";
const suffix = "clearway.test";
const many = Array.from({ length: 200 }, (_, at) => `10.1.0.${at}`);

let server: ReturnType<typeof Bun.spawn> | null = null;
let resolver: Resolver;

beforeAll(async () => {
  if (dnsmasq === null) return;
  const port = await freePort();
  server = Bun.spawn(
    [
      dnsmasq,
      ...["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file"],
      ...["--listen-address=127.0.0.1", "--bind-interfaces", `--port=${port}`, `--local=/${suffix}/`],
      ...(process.getuid?.() === 0 ? ["--user=root"] : []),
      `--host-record=orders.${suffix},10.0.0.1,fd00::1,7`,
      `--cname=shop.${suffix},orders.${suffix},3`,
      `--srv-host=_http._tcp.${suffix},orders.${suffix},9000,10,5`,
      `--srv-host=_http._tcp.${suffix},backup.${suffix},9000,20,5`,
      `--host-record=backup.${suffix},10.0.0.9`,
      ...many.map((address) => `--host-record=many.${suffix},${address}`),
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const servers = [{ host: "127.0.0.1", port }];
  await until(
    () => resolverOf({ servers }).find(dnsOf(`orders.${suffix}:80`)),
    ({ result }) => result === "found",
  );
  resolver = resolverOf({ servers });
});

afterAll(async () => {
  server?.kill();
  await server?.exited;
});

const withDnsmasq = test.skipIf(dnsmasq === null);

withDnsmasq(`${skipped}Resolver understands dnsmasq: addresses, aliases and times to live`, async () => {
  const before = performance.now();
  const found = await resolver.find(dnsOf(`shop.${suffix}:80`));
  expect(found.endpoints.map(({ address }) => "host" in address && address.host)).toEqual([
    "10.0.0.1",
    "fd00::1",
  ]);
  // Three seconds from some moment since, and up to a tenth more.
  const freshMs = found.freshUntilMs - before;
  expect(freshMs).toBeGreaterThanOrEqual(3000);
  expect(freshMs - (performance.now() - before)).toBeLessThanOrEqual(3300);
});

withDnsmasq(`${skipped}Resolver understands dnsmasq: SRV records of the first priority`, async () => {
  expect(await endpointsOf(resolver, `_http._tcp.${suffix}`)).toEqual([
    "10.0.0.1:9000*5",
    "[fd00::1]:9000*5",
  ]);
});

withDnsmasq(`${skipped}Resolver understands dnsmasq: more addresses than fit into a datagram`, async () => {
  expect(await endpointsOf(resolver, `many.${suffix}:80`)).toEqual(many.map((address) => `${address}:80`));
});

withDnsmasq(
  `${skipped}Resolver understands dnsmasq: names and records that are not there, and refusals`,
  async () => {
    expect(await endpointsOf(resolver, `gone.${suffix}:80`)).toContain("there is no such name (NXDOMAIN)");
    expect(await endpointsOf(resolver, `orders.${suffix}`)).toContain("it has no SRV record");
    // It knows nobody who could know.
    expect(await endpointsOf(resolver, "example.org:80")).toMatch(/^failed: .* answered REFUSED$/);
  },
);
