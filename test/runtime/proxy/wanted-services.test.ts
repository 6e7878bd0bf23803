/** Requests for services that a node does not know yet: they wait, are asked for once, and never for long. */
import { afterEach, describe, expect, test } from "bun:test";
import { Deadlines } from "../../../src/runtime/deadlines.ts";
import type { Answer } from "../../../src/runtime/failures.ts";
import {
  HELD_MAX,
  HELD_MS,
  MISSING_MAX,
  MISSING_MS,
  WantedServices,
} from "../../../src/runtime/proxy/wanted-services.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { statusOf, values } from "../messages.ts";
import { gateway } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";
import { asProxy } from "./proxying.ts";

afterEach(closeAll);

function wanting() {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock);
  const asked: string[] = [];
  const wanted = new WantedServices(deadlines, (service) => void asked.push(service));
  const request = () => ({
    refused: null as string | null,
    tries: 0,
    takes: false,
    tryAgain() {
      this.tries++;
      return this.takes ? ("gone" as const) : ("waits" as const);
    },
    refuse({ reason }: Answer) {
      this.refused = reason;
    },
  });
  const pass = (durationMs: number) => {
    for (let passed = 0; passed < durationMs; passed += 100) clock.advance(100);
  };
  return { asked, wanted, request, pass, deadlines };
}

describe("WantedServices", () => {
  test("WantedServices asks once for all who want the same, and again when nothing came of it", () => {
    const { asked, wanted, request, pass } = wanting();
    const all = [request(), request(), request()];
    for (const one of all) expect(wanted.hold("payments", one)).toBeNull();
    expect(asked).toEqual(["payments"]);
    pass(HELD_MS + 100);
    expect(all.map(({ refused }) => refused)).toEqual(Array(3).fill("service-unknown"));
    expect(wanted.hold("payments", request())).toBeNull();
    expect(asked).toEqual(["payments", "payments"]);
  });

  test("WantedServices asks again while some wait, when the last time is long ago", () => {
    const { asked, wanted, request, pass } = wanting();
    for (let half = 0; half < 4; half += 1) {
      wanted.hold("payments", request());
      pass(HELD_MS / 2);
    }
    expect(asked).toEqual(["payments", "payments"]);
  });

  test("WantedServices lets those go whom a new snapshot takes, and others wait for the next one", () => {
    const { wanted, request, pass } = wanting();
    const [first, second] = [request(), request()];
    wanted.hold("payments", first);
    wanted.hold("orders", second);
    first.takes = true;
    wanted.live();
    wanted.live();
    expect([first.tries, second.tries]).toEqual([1, 2]);
    pass(HELD_MS + 100);
    expect([first.refused, second.refused]).toEqual([null, "service-unknown"]);
  });

  test("WantedServices refuses what there is not, for a while without asking", () => {
    const { asked, wanted, request, pass, deadlines } = wanting();
    const one = request();
    wanted.hold("paymentz", one);
    wanted.missing(["paymentz"]);
    expect(one.refused).toBe("no-such-service");
    expect(wanted.hold("paymentz", request())?.reason).toBe("no-such-service");
    expect(asked).toEqual(["paymentz"]);
    pass(MISSING_MS);
    deadlines.touch();
    expect(wanted.hold("paymentz", request())).toBeNull();
    expect(asked).toEqual(["paymentz", "paymentz"]);
  });

  test("WantedServices keeps to its bounds", () => {
    const { asked, wanted, request } = wanting();
    const held = Array.from({ length: HELD_MAX }, request);
    for (const [index, one] of held.entries()) expect(wanted.hold(`s${index}`, one)).toBeNull();
    expect(wanted.hold("more", request())?.reason).toBe("service-unknown");
    wanted.leave("s0", held[0]!);
    wanted.leave("s0", held[0]!);
    expect(wanted.hold("more", request())).toBeNull();
    expect(wanted.hold("again", request())?.reason).toBe("service-unknown");
    expect(asked.length).toBe(HELD_MAX + 1);
    wanted.missing(Array.from({ length: MISSING_MAX + 1 }, (_, index) => `m${index}`));
    for (const one of held.slice(1)) wanted.leave(`s${held.indexOf(one)}`, one);
    expect(wanted.hold("m0", request())).toBeNull();
    expect(wanted.hold("m1", request())?.reason).toBe("no-such-service");
  });

  test("WantedServices asks nobody for what is no name of a service", () => {
    const { asked, wanted, request } = wanting();
    for (const name of ["", "-a", "a b", "a/b", "%41", "a-", "a.b", `a${"b".repeat(63)}`, "[::1]"])
      expect(wanted.hold(name, request())?.reason).toBe("no-such-service");
    expect(asked).toEqual([]);
  });
});

const get = "GET http://shop.mesh/a HTTP/1.1\r\nHost: shop.mesh\r\n\r\n";

/** First without the route to `shop.mesh`; `know` brings a config that has it. */
async function unknowing(clock = new VirtualClock(), listener = "") {
  const upstream = await upstreamWith();
  let known = false;
  const proxy = await proxyTo(
    { ports: [upstream.port], listener },
    {
      clock,
      change: (snapshot) => {
        const proxied = asProxy(snapshot, "allow");
        const listeners = proxied.listeners.map((one) => (known ? one : { ...one, routes: [] }));
        return { ...proxied, listeners };
      },
    },
  );
  const know = () => {
    known = true;
    return proxy.apply(gateway({ ports: [upstream.port], listener }));
  };
  return { upstream, proxy, know, clock, client: await caller(proxy) };
}

for (const listener of ["", "    filters: [request-id]"]) {
  describe(`a request for a service that is not known yet${listener === "" ? "" : ", with a filter"}`, () => {
    test("waits for the snapshot that has its route, with its body", async () => {
      const { client, proxy, know, upstream } = await unknowing(new VirtualClock(), listener);
      client.send("POST /a HTTP/1.1\r\nHost: shop.mesh\r\nContent-Length: 3\r\n\r\nab");
      await eventually("the wish", () => proxy.wanted.length === 1);
      // One with nothing new in it.
      await proxy.apply(gateway({ ports: [upstream.port], listener }));
      await know();
      client.send("c");
      expect(statusOf(await client.answer())).toBe(200);
      expect(upstream.requests.map(({ body }) => body)).toEqual(["abc"]);
      expect(proxy.wanted).toEqual(["shop"]);
      expect(proxy.measured.map(({ route, status }) => [route, status])).toEqual([["*", 200]]);
      // The generations under which it waited are gone.
      expect(proxy.runtime.report()).toMatchObject({ generations: 1, activeRequests: 0 });
    });

    test("is answered when there is no such service, and at once the next time", async () => {
      const { client, proxy } = await unknowing(new VirtualClock(), listener);
      client.send(get);
      await eventually("the wish", () => proxy.wanted.length === 1);
      proxy.runtime.servicesMissing(["shop"]);
      for (let time = 0; time < 2; time += 1) {
        const answer = await client.answer();
        expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([502, "no-such-service"]);
        if (time === 0) client.send(get);
      }
      expect(proxy.wanted).toEqual(["shop"]);
      expect(proxy.measured.map(({ reason }) => reason)).toEqual(["no-such-service", "no-such-service"]);
    });
  });
}

test("a request for an unknown service is answered when nothing is heard of it in time", async () => {
  const { client, proxy, clock } = await unknowing();
  client.send(get);
  await eventually("the wish", () => proxy.wanted.length === 1);
  for (let passed = 0; passed <= HELD_MS; passed += 100) clock.advance(100);
  const answer = await client.answer();
  expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([503, "service-unknown"]);
});

test("a caller that leaves while it waits is forgotten", async () => {
  const { client, proxy, know, upstream } = await unknowing();
  client.send(get);
  await eventually("the wish", () => proxy.wanted.length === 1);
  client.reset();
  await eventually("its end", () => proxy.measured.length === 1);
  await know();
  expect(proxy.measured).toMatchObject([{ status: 499, reason: "caller-left" }]);
  expect(upstream.connections.length).toBe(0);
  expect(proxy.runtime.report()).toMatchObject({ generations: 1, activeRequests: 0 });
});

test("a request in a tunnel waits too", async () => {
  const { client, proxy, know } = await unknowing();
  client.send("CONNECT shop.mesh:80 HTTP/1.1\r\nHost: shop.mesh\r\n\r\n");
  await client.take("HTTP/1.1 200 OK\r\n\r\n".length);
  client.send("GET / HTTP/1.1\r\nHost: shop.mesh\r\n\r\n");
  await eventually("the wish", () => proxy.wanted.length === 1);
  await know();
  expect(statusOf(await client.answer())).toBe(200);
});

test("what a known service has no route for is asked of nobody", async () => {
  const upstream = await upstreamWith();
  const proxy = await proxyTo(
    { ports: [upstream.port] },
    {
      change: (snapshot) => {
        const proxied = asProxy(snapshot, "allow");
        const [listener] = proxied.listeners;
        const [route] = listener!.routes;
        const only = { ...route!, match: { ...route!.match, path: "/only" } };
        return { ...proxied, listeners: [{ ...listener!, routes: [only] }] };
      },
    },
  );
  const client = await caller(proxy);
  expect(statusOf(await client.exchange(get))).toBe(404);
  expect(proxy.wanted).toEqual([]);
});
