/** Hosts outside the mesh through the proxy: requests with whole URLs, and tunnels of bytes. */
import { afterEach, describe, expect, test } from "bun:test";
import { freePorts } from "../../free-ports.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { statusOf, values } from "../messages.ts";
import type { RawClient } from "../raw-client.ts";
import { okAnswer, type UpstreamScript } from "../recording-upstream.ts";
import { gateway } from "../running-proxy.ts";
import { caller, closeAll, upstreamWith } from "../setting.ts";
import { enough, eventually } from "../waiting.ts";
import { DecidedHosts, type ProxyingOptions, proxying } from "./proxying.ts";

afterEach(closeAll);

const established = "HTTP/1.1 200 OK\r\n\r\n";
const bytes: UpstreamScript = {
  onConnect: (connection) => {
    connection.reading = "bytes";
  },
};

async function outside(script: UpstreamScript | undefined, options: ProxyingOptions = {}, listener = "") {
  const upstream = await upstreamWith(script);
  const names = new DecidedHosts({ "host.example": ["127.0.0.1"] });
  const proxy = await proxying({ ports: [1], listener }, { names, ...options });
  return { upstream, proxy, names, client: await caller(proxy) };
}

function connectTo(target: string): string {
  return `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
}

async function tunnel(listener = "", options: ProxyingOptions = {}) {
  const made = await outside(bytes, options, listener);
  made.client.send(connectTo(`host.example:${made.upstream.port}`));
  expect(await made.client.take(established.length)).toBe(established);
  return { ...made, server: await made.upstream.connection() };
}

const got = (end: { received: string; until: RawClient["until"] }, text: string) =>
  end.until(JSON.stringify(text), () => (end.received.endsWith(text) ? true : null));

async function refused(client: RawClient, request: string): Promise<(string | number)[]> {
  client.send(request);
  const answer = await client.answer(request.startsWith("CONNECT") ? "CONNECT" : "GET");
  return [statusOf(answer), ...values(answer, "x-clearway-reason")];
}

for (const listener of ["", "    filters: [request-id, access-log: { to: stdout }]"]) {
  describe(`a tunnel to a host outside${listener === "" ? "" : ", behind filters"}`, () => {
    test("carries bytes both ways, those too that came before its 200", async () => {
      const { client, upstream, proxy } = await outside(bytes, {}, listener);
      client.send(`${connectTo(`host.example:${upstream.port}`)}\x16\x03\x01early`);
      const server = await upstream.connection();
      await got(server, "\x16\x03\x01early");
      server.send("\0\xff HTTP/1.1 500");
      await got(client, `${established}\0\xff HTTP/1.1 500`);
      client.finish();
      expect(await server.ended()).toBe("fin");
      server.send("more");
      await got(client, "more");
      server.finish();
      expect(await client.ended()).toBe("fin");
      await eventually("the end", () => proxy.open.downstream + proxy.open.upstream === 0);
      expect(proxy.measured).toEqual([
        { route: "(outside)", service: "(outside)", method: "CONNECT", status: 200, reason: "" },
      ]);
      expect(proxy.runtime.report().activeRequests).toBe(0);
    });

    test("lets the other side end first too", async () => {
      const { client, server } = await tunnel(listener);
      server.finish();
      expect(await client.ended()).toBe("fin");
      client.send("more");
      await got(server, "more");
      client.finish();
      expect(await server.ended()).toBe("fin");
    });

    test("is reset on one side when it was reset on the other", async () => {
      const one = await tunnel(listener);
      one.client.reset();
      expect(await one.server.ended()).toBe("reset");
      const other = await tunnel(listener);
      other.server.reset();
      expect(await other.client.ended()).toBe("reset");
      await eventually("the end", () => other.proxy.open.downstream + other.proxy.open.upstream === 0);
    });

    test("says so when there is nobody", async () => {
      const { client, proxy } = await outside(undefined, {}, listener);
      const [closed] = await freePorts(1);
      expect(await refused(client, connectTo(`host.example:${closed}`))).toEqual([
        503,
        "no-healthy-endpoint",
      ]);
      expect(await refused(client, connectTo("nobody.example:443"))).toEqual([502, "host-not-found"]);
      expect(proxy.measured.map(({ route, reason }) => [route, reason])).toEqual([
        ["(outside)", "no-healthy-endpoint"],
        ["", "host-not-found"],
      ]);
    });
  });
}

test("a tunnel holds one side back when the other does not read", async () => {
  const { client, server } = await tunnel();
  const piece = Buffer.alloc(256 * 1024, 120);
  const total = 128 * piece.length;
  server.pause();
  for (let count = 0; count < 128; count += 1) client.send(piece);
  client.pause();
  for (let count = 0; count < 128; count += 1) server.send(piece);
  expect(server.received.length).toBeLessThan(total);
  server.resume();
  client.resume();
  await enough("bytes up", () => server.received.length, total);
  await enough("bytes down", () => client.received.length, total + established.length);
});

test("a tunnel that is silent for too long is ended on both sides", async () => {
  const clock = new VirtualClock();
  const { client, server } = await tunnel("", { clock });
  clock.advance(299_000);
  server.send("x");
  await got(client, "x");
  clock.advance(299_000);
  expect([client.peer, server.peer]).toEqual(["open", "open"]);
  for (let ticks = 0; ticks < 50; ticks += 1) clock.advance(100);
  await Promise.all([client.ended(), server.ended()]);
});

test("a tunnel outlives a reload", async () => {
  const { client, server, proxy } = await tunnel();
  await proxy.apply(gateway({ ports: [1] }));
  client.send("after");
  await got(server, "after");
  expect(proxy.runtime.report().generations).toBe(2);
});

test("a whole URL goes to its host as a request for a path, on connections that are kept", async () => {
  const { client, upstream, proxy } = await outside(undefined);
  const authority = `Host.example:${upstream.port}`;
  for (let time = 0; time < 3; time += 1) {
    const answer = await client.exchange(
      `GET http://${authority}/a?b HTTP/1.1\r\nHost: wrong.example\r\nProxy-Authorization: Basic x\r\nX-Forwarded-For: 203.0.113.5\r\nx-clearway-identity: me\r\n\r\n`,
    );
    expect([statusOf(answer), answer.body]).toEqual([200, "ok"]);
    if (time === 1) await proxy.apply(gateway({ ports: [2] }));
  }
  expect(upstream.connections.length).toBe(1);
  for (const request of upstream.requests) {
    expect(request.start).toBe("GET /a?b HTTP/1.1");
    expect(values(request, "host")).toEqual([authority]);
    expect(values(request, "proxy-authorization")).toEqual([]);
    // Nothing of this machine's own, and what the caller says itself as it says it.
    expect(values(request, "x-forwarded-for")).toEqual(["203.0.113.5"]);
    for (const name of ["x-forwarded-host", "x-forwarded-proto", "forwarded", "x-clearway-identity"])
      expect(values(request, name)).toEqual([]);
    expect(values(request, "via")).toEqual(["1.1 clearway-test"]);
  }
  expect(proxy.measured[0]).toMatchObject({ route: "(outside)", service: "(outside)", status: 200 });
});

test("a body goes with a whole URL, through filters and without", async () => {
  for (const listener of ["", "    filters: [request-id]"]) {
    const { client, upstream } = await outside({ onRequest: () => okAnswer }, {}, listener);
    client.send(
      `POST http://host.example:${upstream.port}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n`,
    );
    client.send("abc");
    expect(statusOf(await client.answer())).toBe(200);
    expect(upstream.requests.map(({ body }) => body)).toEqual(["abc"]);
  }
});

test("several addresses of a host are tried", async () => {
  const { client, upstream } = await outside(undefined, {
    names: new DecidedHosts({ "host.example": ["127.0.0.2", "127.0.0.1"] }),
  });
  for (let time = 0; time < 10; time += 1) {
    const answer = await client.exchange(
      `GET http://host.example:${upstream.port}/ HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n`,
    );
    expect(statusOf(answer)).toBe(200);
  }
});

test("https hosts are reached with CONNECT, not with a URL", async () => {
  const { client } = await outside(undefined);
  expect(await refused(client, "GET https://host.example/ HTTP/1.1\r\nHost: a\r\n\r\n")).toEqual([
    400,
    "tunnel-required",
  ]);
});

test("a caller that leaves before the name is known leaves nothing behind", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const names = new DecidedHosts({ "host.example": ["127.0.0.1"] });
  const slow = {
    find: async (name: string) => {
      await promise;
      return names.find(name);
    },
    own: () => names.own(),
  };
  const { client, proxy, upstream } = await outside(bytes, { names: slow });
  client.send(connectTo(`host.example:${upstream.port}`));
  await eventually("the request", () => proxy.runtime.report().activeRequests === 1);
  client.reset();
  await eventually("its end", () => proxy.runtime.report().activeRequests === 0);
  resolve();
  await promise;
  expect(proxy.measured).toMatchObject([{ status: 499, reason: "caller-left" }]);
  expect(upstream.connections.length).toBe(0);
});

describe("a host outside is refused", () => {
  test("when egress is denied, before its name is looked up", async () => {
    const { client, names } = await outside(undefined, { egress: "deny" });
    for (const request of [
      connectTo("host.example:443"),
      "GET http://host.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ])
      expect(await refused(client, request)).toEqual([403, "egress-denied"]);
    expect(names.asked).toEqual([]);
  });

  const links: readonly string[] = [
    "169.254.169.254",
    "[fe80::1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "0.0.0.0",
    "[::]",
    "metadata.example",
  ];
  for (const host of links) {
    test(`when it is ${host}`, async () => {
      const names = new DecidedHosts({ "metadata.example": ["169.254.169.254", "fe80::1"] });
      const { client } = await outside(undefined, { names });
      expect(await refused(client, connectTo(`${host}:80`))).toEqual([403, "egress-denied"]);
    });
  }

  test("when it is written as a number: that is no name", async () => {
    const { client } = await outside(undefined);
    for (const host of ["2852039166", "0xa9fea9fe", "169.16689662", "0251.0376.0251.0376"])
      expect(await refused(client, connectTo(`${host}:80`))).toEqual([502, "host-not-found"]);
  });

  test("when it is this node itself", async () => {
    const [port, admin] = (await freePorts(2)) as [number, number];
    const names = new DecidedHosts({ "me.example": ["192.0.2.1"], localhost: ["127.0.0.1", "::1"] }, [
      "192.0.2.1",
    ]);
    const change = (bind: string) =>
      gateway({ ports: [1], root: `admin: 127.0.0.1:${admin}` }).replace(
        "bind: 127.0.0.1:0",
        `bind: ${bind}:${port}`,
      );
    const { proxy } = await outside(undefined, { names });
    for (const [bind, hosts] of [
      ["127.0.0.1", ["127.0.0.1", "localhost"]],
      ["0.0.0.0", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "me.example"]],
    ] as const) {
      await proxy.apply(change(bind));
      const client = await caller(proxy);
      for (const host of hosts) {
        const answer = await refused(client, connectTo(`${host}:${port}`));
        // The other loopback address is somebody else's.
        if (bind === "127.0.0.1" && host === "localhost") expect(answer[0]).toBe(503);
        else expect([host, ...answer]).toEqual([host, 508, "loop-detected"]);
      }
      expect(await refused(client, connectTo(`127.0.0.1:${admin}`))).toEqual([508, "loop-detected"]);
    }
  });
});

test("no more addresses are known at a time than the bound says", async () => {
  const many = Array.from({ length: 300 }, (_, index) => `127.1.${index >> 8}.${index & 255}`);
  const hosts = Object.fromEntries(many.map((address, index) => [`h${index}.example`, [address]]));
  const { client, proxy, upstream } = await outside(undefined, {
    names: new DecidedHosts({ ...hosts, "host.example": ["127.0.0.1"] }),
  });
  const [closed] = await freePorts(1);
  const ask = async (host: string, port: number) =>
    statusOf(await client.exchange(`GET http://${host}:${port}/ HTTP/1.1\r\nHost: a\r\n\r\n`));
  expect(await ask("host.example", upstream.port)).toBe(200);
  await eventually("the kept connection", () => proxy.open.upstream === 1);
  for (let index = 0; index < 255; index += 1) expect(await ask(`h${index}.example`, closed!)).toBe(503);
  expect(proxy.open.upstream).toBe(1);
  expect(await ask("h255.example", closed!)).toBe(503);
  // The one that was asked longest ago is forgotten, with its idle connection.
  await eventually("its end", () => proxy.open.upstream === 0);
  expect(await ask("host.example", upstream.port)).toBe(200);
}, 30_000);
