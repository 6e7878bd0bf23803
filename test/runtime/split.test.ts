/** Requests shared out among the versions of a service, while these come, go, and are well or not. */
import { afterEach, describe, expect, test } from "bun:test";
import { defineFilter, type FilterDefinition, z } from "../../src/plugin.ts";
import type { EndpointConfig, ForwardTarget, ServiceState, Snapshot } from "../../src/snapshot.ts";
import type { UpstreamFilter } from "../../src/types.ts";
import { freePorts } from "../free-ports.ts";
import { statusOf } from "./messages.ts";
import type { RecordingUpstream } from "./recording-upstream.ts";
import { gateway, type ProxyOptions, type RunningProxy } from "./running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "./setting.ts";

afterEach(closeAll);

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/** `v1` to share by; a weight for each version. */
type Split = Readonly<Record<string, number>>;

function targetsOf(split: Split): ForwardTarget[] {
  return Object.entries(split).map(([version, weight]) => ({ service: "shop", version, weight }));
}

/** As a mesh document says it: the split of the proxy's only route, as it is when a config becomes live. */
function splitting(split: { now: Split }): Required<Pick<ProxyOptions, "change">> {
  const change = (snapshot: Snapshot): Snapshot => ({
    ...snapshot,
    listeners: snapshot.listeners.map((listener) => ({
      ...listener,
      routes: listener.routes.map((route) => ({
        ...route,
        action: {
          kind: "forward",
          to: targetsOf(split.now),
          rewrite: { path: null, host: null },
        },
      })),
    })),
  });
  return { change };
}

function at(port: number, version: string | null, weight = 1): EndpointConfig {
  return { address: { host: "127.0.0.1", port }, weight, zone: null, version };
}

function state(discovered: readonly EndpointConfig[], unhealthy: readonly number[] = []): ServiceState {
  return {
    service: "shop",
    discovered,
    discoveryProblem: null,
    unhealthy: unhealthy.map((port) => `127.0.0.1:${port}`),
    ejected: [],
  };
}

/** How many of so many requests each of them gets; none of them fails. */
async function shares(proxy: RunningProxy, services: readonly RecordingUpstream[], times: number) {
  const before = services.map(({ requests }) => requests.length);
  const client = await caller(proxy);
  for (let time = 0; time < times; time += 1) expect(statusOf(await client.exchange(get))).toBe(200);
  return services.map(({ requests }, index) => requests.length - before[index]!);
}

async function upstreams<Count extends number>(count: Count): Promise<RecordingUpstream[]> {
  return Promise.all(Array.from({ length: count }, () => upstreamWith()));
}

/** Of a share of `share` in `times` draws, within four standard deviations. */
function expectShare(count: number, share: number, times: number): void {
  expect(Math.abs(count - share * times)).toBeLessThan(4 * Math.sqrt(times * share * (1 - share)));
}

function sendingTo(version: string): Pick<ProxyOptions, "filters"> {
  const upstream: UpstreamFilter = (_, send) => send({ version });
  const definition = defineFilter({
    ...{ name: "pinned", summary: "Sends to one version", options: z.unknown() },
    upstream: () => upstream,
  });
  return { filters: new Map<string, FilterDefinition>([["pinned", definition]]) };
}

describe("a split by version", () => {
  test("gives each version its share, however many endpoints it has", async () => {
    const [first, second, third] = await upstreams(3);
    const proxy = await proxyTo({ ports: "dns" }, splitting({ now: { v1: 90, v2: 10 } }));
    proxy.runtime.updateServices([
      state([at(first!.port, "v1"), at(second!.port, "v2"), at(third!.port, "v2")]),
    ]);
    const [one, two, three] = await shares(proxy, [first!, second!, third!], 1000);
    expectShare(one!, 0.9, 1000);
    expect(Math.abs(two! - three!)).toBeLessThanOrEqual(1);
  });

  test("holds through filters too", async () => {
    const [first, second] = await upstreams(2);
    const split = splitting({ now: { v1: 3, v2: 1 } });
    const proxy = await proxyTo(
      { ports: "dns", route: "        filters: [request-id, retry: { attempts: 2 }]" },
      split,
    );
    proxy.runtime.updateServices([state([at(first!.port, "v1"), at(second!.port, "v2")])]);
    const [, two] = await shares(proxy, [first!, second!], 400);
    expectShare(two!, 0.25, 400);
  });

  test("shifts with a reload, and sends nothing to a weight of 0", async () => {
    const [first, second] = await upstreams(2);
    const split = { now: { v1: 1, v2: 0 } as Split };
    const proxy = await proxyTo({ ports: "dns" }, splitting(split));
    proxy.runtime.updateServices([state([at(first!.port, "v1"), at(second!.port, "v2")])]);
    expect(await shares(proxy, [first!, second!], 50)).toEqual([50, 0]);
    split.now = { v1: 50, v2: 50 };
    await proxy.apply(gateway({ ports: "dns" }));
    const [, half] = await shares(proxy, [first!, second!], 400);
    expectShare(half!, 0.5, 400);
    split.now = { v1: 0, v2: 1 };
    // Another config of the service: its versions are found anew.
    await proxy.apply(gateway({ ports: "dns", loadBalancing: "least-request" }));
    expect(await shares(proxy, [first!, second!], 50)).toEqual([0, 50]);
  });

  test("counts a version from the moment in which it has an endpoint", async () => {
    const [first, second] = await upstreams(2);
    const proxy = await proxyTo({ ports: "dns" }, splitting({ now: { v1: 50, v2: 50 } }));
    proxy.runtime.updateServices([state([at(first!.port, "v1"), at(second!.port, "v1")])]);
    expect(await shares(proxy, [first!, second!], 20)).toEqual([10, 10]);
    // The same endpoint, registered anew with another version.
    proxy.runtime.updateServices([state([at(first!.port, "v1"), at(second!.port, "v2")])]);
    const [, half] = await shares(proxy, [first!, second!], 400);
    expectShare(half!, 0.5, 400);
  });
});

describe("a version that has nobody who is well", () => {
  test("gives its share to the others, by their weights, and it is counted and said once", async () => {
    const [first, second, third] = await upstreams(3);
    const proxy = await proxyTo({ ports: "dns" }, splitting({ now: { v1: 60, v2: 20, v3: 20 } }));
    const all = [at(first!.port, "v1"), at(second!.port, "v2"), at(third!.port, "v3")];
    proxy.runtime.updateServices([state(all, [third!.port])]);
    const [one, , none] = await shares(proxy, [first!, second!, third!], 400);
    expectShare(one!, 0.75, 400);
    expect(none).toBe(0);
    const counted = proxy.counted.filter(({ name }) => name === "clearway_version_fallbacks_total");
    expectShare(counted.length, 0.2, 400);
    expect(counted[0]).toMatchObject({ service: "shop", version: "v3" });
    const said = proxy.log.filter(({ message }) => message.startsWith("a version has no endpoint"));
    expect(said.map(({ fields }) => fields.version)).toEqual(["v3"]);
    proxy.runtime.updateServices([state(all)]);
    const [, , back] = await shares(proxy, [first!, second!, third!], 400);
    expectShare(back!, 0.2, 400);
  });

  test("gives its share away when it is gone, and not to a version of weight 0", async () => {
    const [first, second] = await upstreams(2);
    const proxy = await proxyTo({ ports: "dns" }, splitting({ now: { v1: 1, v2: 0, v3: 99 } }));
    proxy.runtime.updateServices([state([at(first!.port, "v1"), at(second!.port, "v2")])]);
    expect(await shares(proxy, [first!, second!], 50)).toEqual([50, 0]);
  });

  test("panics by itself when the others have nobody either", async () => {
    const [first, second] = await upstreams(2);
    const proxy = await proxyTo({ ports: "dns" }, splitting({ now: { v1: 50, v2: 50 } }));
    const all = [at(first!.port, "v1"), at(second!.port, "v2")];
    proxy.runtime.updateServices([state(all, [first!.port, second!.port])]);
    const [, half] = await shares(proxy, [first!, second!], 400);
    expectShare(half!, 0.5, 400);
    expect(proxy.counted.filter(({ name }) => name === "clearway_version_fallbacks_total")).toEqual([]);
  });

  test("loses no request when its only endpoint cannot be reached", async () => {
    const [first] = await upstreams(1);
    const [closed] = await freePorts(1);
    const proxy = await proxyTo({ ports: "dns" }, splitting({ now: { v1: 50, v2: 50 } }));
    proxy.runtime.updateServices([state([at(first!.port, "v1"), at(closed!, "v2")])]);
    expect(await shares(proxy, [first!], 100)).toEqual([100]);
  });

  test("is said to the log when no other version may stand in for it", async () => {
    const [first] = await upstreams(1);
    const proxy = await proxyTo({ ports: "dns" }, splitting({ now: { v9: 1 } }));
    proxy.runtime.updateServices([state([at(first!.port, "v1")])]);
    const client = await caller(proxy);
    const answer = await client.exchange(get);
    expect(statusOf(answer)).toBe(503);
    expect(answer.head).toContain("x-clearway-reason: no-healthy-endpoint");
    expect(proxy.log.map(({ message }) => message)).toContain(
      "service shop: none of its 1 endpoints has version v9",
    );
    proxy.runtime.updateServices([state([])]);
    expect(statusOf(await client.exchange(get))).toBe(503);
  });
});

describe("a filter that sends to a version", () => {
  const endpoints = (ports: readonly number[]) =>
    `endpoints: [${ports.map((port, index) => `{ address: "127.0.0.1:${port}", version: v${index + 1} }`).join(", ")}]`;

  async function pinned(version: string, services: readonly RecordingUpstream[]) {
    const text = gateway({ ports: [], route: "        filters: [pinned]" });
    const ports = services.map(({ port }) => port);
    const yaml = text.replace("endpoints: []", endpoints(ports));
    const proxy = await proxyTo({ ports: [1] }, sendingTo(version));
    await proxy.apply(yaml);
    return proxy;
  }

  test("reaches nobody else", async () => {
    const services = await upstreams(3);
    const proxy = await pinned("v2", services);
    expect(await shares(proxy, services, 20)).toEqual([0, 20, 0]);
  });

  test("is told when nobody has that version", async () => {
    const services = await upstreams(2);
    const proxy = await pinned("v3", services);
    const client = await caller(proxy);
    expect(statusOf(await client.exchange(get))).toBe(503);
    expect(proxy.log.map(({ message }) => message)).toContain(
      "service shop: none of its 2 endpoints has version v3",
    );
  });
});
