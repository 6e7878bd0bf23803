import { expect, test } from "bun:test";
import { DnsDiscovery } from "../../../src/node/service-watch/dns-discovery.ts";
import { DecidedNames, dnsOf, endpointsAt, RecordedLog, SteppedClock, turns } from "./watching.ts";

const name = "orders.test";

function setting() {
  const clock = new SteppedClock();
  const names = new DecidedNames(clock);
  const log = new RecordedLog();
  const seen = { changes: 0, results: [] as string[] };
  const begin = (known = endpointsAt()) =>
    new DnsDiscovery(
      {
        clock,
        log,
        find: names.find,
        changed: () => void seen.changes++,
        lookedUp: (service, result) => void seen.results.push(`${service} ${result}`),
      },
      { service: "orders", dns: dnsOf(name), known },
    );
  return { clock, names, log, seen, begin };
}

const hostsOf = ({ endpoints }: DnsDiscovery) =>
  endpoints.map(({ address }) => "host" in address && address.host);

test("DnsDiscovery looks up at once, and again when the answer is no longer fresh", async () => {
  const { clock, names, seen, begin } = setting();
  names.addresses(name, "10.0.0.1");
  const discovery = begin();
  expect([hostsOf(discovery), discovery.problem]).toEqual([
    [],
    `${name}: the first lookup has not ended yet`,
  ]);
  await discovery.first;
  expect([hostsOf(discovery), discovery.problem]).toEqual([["10.0.0.1"], null]);
  names.addresses(name, "10.0.0.1", "10.0.0.2");
  await clock.pass(9_950);
  expect(names.asked.length).toBe(1);
  await clock.pass(50);
  expect(hostsOf(discovery)).toEqual(["10.0.0.1", "10.0.0.2"]);
  expect(seen).toEqual({ changes: 2, results: ["orders found", "orders found"] });
});

test("DnsDiscovery tells of no change where there is none", async () => {
  const { clock, names, seen, begin } = setting();
  names.addresses(name, "10.0.0.1");
  begin();
  await clock.pass(100_000);
  expect(names.asked.length).toBeGreaterThan(9);
  expect(seen.changes).toBe(1);
});

test("DnsDiscovery keeps what it knows while nobody answers, and says so once", async () => {
  const { clock, names, log, begin } = setting();
  names.addresses(name, "10.0.0.1");
  const discovery = begin();
  await discovery.first;
  log.taken();
  const problem = `${name}: 10.0.0.9:53 did not answer in 1000 ms`;
  names.set(name, { result: "failed", problem });
  await clock.pass(3_600_000, 1000);
  expect([hostsOf(discovery), discovery.problem]).toEqual([["10.0.0.1"], null]);
  expect(log.taken()).toEqual(["warn DNS does not say where a service is: what it said last holds"]);
  const { ageSeconds, problem: shown } = discovery.view();
  expect(shown).toBe(problem);
  expect(ageSeconds).toBeGreaterThan(3500);
  names.addresses(name, "10.0.0.2");
  await clock.pass(10_000);
  expect(hostsOf(discovery)).toEqual(["10.0.0.2"]);
  expect(log.taken()).toEqual([
    "info DNS says again where a service is",
    "info DNS names other endpoints of a service",
  ]);
  expect(discovery.view()).toMatchObject({ problem: null, problemSince: null });
});

test("DnsDiscovery has no endpoint after a server said that there is nothing, and says why", async () => {
  const { clock, names, log, seen, begin } = setting();
  names.addresses(name, "10.0.0.1");
  const discovery = begin();
  await discovery.first;
  // Only part of the answer is old: the last good one holds.
  names.set(name, { result: "found", endpoints: endpointsAt("10.0.0.1"), problem: "NXDOMAIN, once" });
  await clock.pass(10_000);
  log.taken();
  names.set(name, { problem: `${name}: there is no such name (NXDOMAIN)` });
  await clock.pass(10_000);
  expect([hostsOf(discovery), discovery.problem]).toEqual([[], `${name}: there is no such name (NXDOMAIN)`]);
  expect(log.taken()).toEqual([
    "warn DNS does not say where a service is: the service has no endpoint",
    "info DNS names other endpoints of a service",
  ]);
  expect(seen.changes).toBe(2);
});

test("DnsDiscovery says once what of an answer cannot be used", async () => {
  const { clock, names, log, begin } = setting();
  const endpoints = endpointsAt("10.0.0.1");
  names.set(name, { result: "found", endpoints, notes: ["1000 addresses: the first 256 are used"] });
  const discovery = begin();
  await clock.pass(60_000);
  const said = log.lines.filter(({ message }) => message.startsWith("DNS named more"));
  expect(said.map(({ fields }) => fields.leftOut)).toEqual(["1000 addresses: the first 256 are used"]);
  expect(discovery.view().notes.length).toBe(1);
});

test("DnsDiscovery names a few of many endpoints in its log", async () => {
  const { log, names, begin } = setting();
  names.addresses(name, ...Array.from({ length: 8 }, (_, at) => `10.0.0.${at}`));
  await begin().first;
  expect(log.lines[0]?.fields).toEqual({
    service: "orders",
    dns: name,
    endpoints: 8,
    added: "10.0.0.0:80, 10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80, 10.0.0.4:80 and 3 more",
    removed: "",
  });
});

test("DnsDiscovery begins with what was known, and keeps it while nobody answers", async () => {
  const { names, seen, begin } = setting();
  names.set(name, { result: "failed", problem: "away" });
  const discovery = begin(endpointsAt("10.0.0.1"));
  expect(discovery.problem).toBeNull();
  await discovery.first;
  expect([hostsOf(discovery), seen.changes]).toEqual([["10.0.0.1"], 0]);
});

test("DnsDiscovery pauses between lookups, however short the records live", async () => {
  const { clock, names, begin } = setting();
  names.set(name, { result: "found", endpoints: endpointsAt("10.0.0.1"), freshUntilMs: 0 });
  begin();
  await clock.pass(1_000);
  expect(names.asked.length).toBeGreaterThan(5);
  expect(names.asked.length).toBeLessThanOrEqual(11);
});

test("DnsDiscovery does one lookup at a time, and none after close", async () => {
  const { clock, names, seen, begin } = setting();
  names.addresses(name, "10.0.0.1");
  names.hold(name);
  const discovery = begin();
  void discovery.lookUp();
  await turns();
  expect(names.asked.length).toBe(1);
  discovery.close();
  names.release();
  await clock.pass(60_000);
  expect([names.asked.length, seen.changes, hostsOf(discovery)]).toEqual([1, 0, []]);
  expect(clock.waiting).toBe(0);
});
