/** Services of the mesh asked for through the proxy: with whole URLs, and through tunnels that end here. */
import { afterEach, describe, expect, test } from "bun:test";
import { statusOf, values } from "../messages.ts";
import { upstreamWith as anUpstream, caller, closeAll, setting } from "../setting.ts";
import { proxying } from "./proxying.ts";

afterEach(closeAll);

async function meshSetting(listener = "") {
  const upstream = await anUpstream();
  const proxy = await proxying({ ports: [upstream.port], listener });
  return { upstream, proxy, client: await caller(proxy) };
}

const established = "HTTP/1.1 200 OK\r\n\r\n";

async function inTunnel(listener = "", target = "shop.mesh:80") {
  const made = await meshSetting(listener);
  made.client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  expect(await made.client.take(established.length)).toBe(established);
  return made;
}

test("a whole URL is matched by its own authority, and Host goes on as that", async () => {
  const { client, upstream } = await meshSetting();
  const answer = await client.exchange("GET http://SHOP.mesh/a?b=1 HTTP/1.1\r\nHost: other.mesh\r\n\r\n");
  expect(statusOf(answer)).toBe(200);
  expect(upstream.requests[0]!.start).toBe("GET /a?b=1 HTTP/1.1");
  expect(values(upstream.requests[0]!, "host")).toEqual(["SHOP.mesh"]);
});

test("a service is found by Host alone too, and another name is none", async () => {
  const { client, proxy } = await meshSetting();
  expect(statusOf(await client.exchange("GET / HTTP/1.1\r\nHost: shop.mesh\r\n\r\n"))).toBe(200);
  proxy.runtime.servicesMissing(["other"]);
  for (const target of ["/", "http://other.mesh/", "http://other.mesh./", "http://shop.mesh./"]) {
    const answer = await client.exchange(`GET ${target} HTTP/1.1\r\nHost: other.mesh\r\n\r\n`);
    expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([502, "no-such-service"]);
  }
  const unlisted = await client.exchange("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
  expect([statusOf(unlisted), ...values(unlisted, "x-clearway-reason")]).toEqual([404, "no-route"]);
  expect(proxy.measured.map(({ status }) => status)).toEqual([200, 502, 502, 502, 502, 404]);
});

for (const listener of ["", "    filters: [request-id]"]) {
  describe(`a tunnel to a service${listener === "" ? "" : ", behind a filter"}`, () => {
    test("ends here: its requests are served like others, and are for where it leads", async () => {
      const { client, upstream, proxy } = await inTunnel(listener);
      for (const host of ["shop.mesh", "elsewhere.example"]) {
        const answer = await client.exchange(`GET /a HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        expect([statusOf(answer), answer.body]).toEqual([200, "ok"]);
      }
      const { requests } = upstream;
      expect(requests.map(({ start }) => start)).toEqual(["GET /a HTTP/1.1", "GET /a HTTP/1.1"]);
      for (const request of requests) {
        expect(values(request, "host")).toEqual(["shop.mesh"]);
        expect(values(request, "x-forwarded-host")).toEqual(["shop.mesh"]);
      }
      expect(proxy.measured.map(({ route, method, status }) => [route, method, status])).toEqual([
        ["(tunnel)", "CONNECT", 200],
        ["*", "GET", 200],
        ["*", "GET", 200],
      ]);
    });

    test("takes bodies, pipelined requests, and those that came before its 200", async () => {
      const { client, upstream } = await meshSetting(listener);
      const post = "POST /b HTTP/1.1\r\nHost: shop.mesh\r\nContent-Length: 3\r\n\r\nabc";
      client.send(`CONNECT shop.mesh:80 HTTP/1.1\r\nHost: shop.mesh\r\n\r\n${post}${post}`);
      expect(await client.take(established.length)).toBe(established);
      expect(statusOf(await client.answer())).toBe(200);
      expect(statusOf(await client.answer())).toBe(200);
      expect(upstream.requests.map(({ body }) => body)).toEqual(["abc", "abc"]);
    });

    test("closes when a request in it says so", async () => {
      const { client } = await inTunnel(listener);
      client.send("GET / HTTP/1.1\r\nHost: shop.mesh\r\nConnection: close\r\n\r\n");
      expect(statusOf(await client.answer())).toBe(200);
      expect(await client.ended()).toBe("fin");
    });
  });
}

test("a tunnel from an HTTP/1.0 caller lives on after its 200", async () => {
  const { client } = await meshSetting();
  client.send("CONNECT shop.mesh:80 HTTP/1.0\r\n\r\n");
  expect(await client.take(established.length)).toBe(established);
  for (let time = 0; time < 2; time += 1)
    expect(statusOf(await client.exchange("GET / HTTP/1.1\r\nHost: shop.mesh\r\n\r\n"))).toBe(200);
});

test("a tunnel holds no other tunnel", async () => {
  const { client } = await inTunnel();
  const answer = await client.exchange("CONNECT shop.mesh:80 HTTP/1.1\r\nHost: shop.mesh:80\r\n\r\n");
  expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([405, "connect-refused"]);
});

test("a tunnel of one connection says nothing of the next one", async () => {
  const { client, proxy, upstream } = await inTunnel();
  expect(statusOf(await client.exchange("GET / HTTP/1.1\r\nHost: x.example\r\n\r\n"))).toBe(200);
  const other = await caller(proxy);
  expect(statusOf(await other.exchange("GET / HTTP/1.1\r\nHost: x.example\r\n\r\n"))).toBe(404);
  other.send("CONNECT shop.mesh:80 HTTP/1.1\r\nHost: shop.mesh\r\n\r\n");
  expect(await other.take(established.length)).toBe(established);
  expect(upstream.requests.length).toBe(1);
});

test("TLS to a service is refused with the reason, before the tunnel and in it", async () => {
  const { client, proxy } = await inTunnel();
  client.send("\x16\x03\x01\x02\x00\x01");
  const refused = await client.answer();
  expect([statusOf(refused), ...values(refused, "x-clearway-reason")]).toEqual([400, "tls-in-tunnel"]);
  expect(refused.body).toContain("services of the mesh are called with http://");
  const other = await caller(proxy);
  const answer = await other.exchange(
    "CONNECT shop.mesh:443 HTTP/1.1\r\nHost: shop.mesh:443\r\n\r\n",
    "CONNECT",
  );
  expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([400, "tls-in-tunnel"]);
});

/** RFC 9110 section 9.3.6, RFC 9112 section 3.2.3. */
const refusals: readonly (readonly [what: string, head: string, status: number, reason: string])[] = [
  ["no port", "CONNECT shop.mesh HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["an empty port", "CONNECT shop.mesh: HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["port 0", "CONNECT shop.mesh:0 HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["port 00", "CONNECT shop.mesh:00 HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["a port too large", "CONNECT shop.mesh:65536 HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["a port that is none", "CONNECT shop.mesh:http HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["no host", "CONNECT :80 HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["a user", "CONNECT me@shop.mesh:80 HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["a path", "CONNECT /a HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["a URL", "CONNECT http://shop.mesh:80/ HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["an address without brackets", "CONNECT ::1:80 HTTP/1.1\r\nHost: shop.mesh\r\n", 400, "bad-authority"],
  ["no Host", "CONNECT shop.mesh:80 HTTP/1.1\r\n", 400, "missing-host"],
  ["a wrong Host", "CONNECT shop.mesh:80 HTTP/1.1\r\nHost: a b\r\n", 400, "bad-host"],
  ["two Hosts", "CONNECT shop.mesh:80 HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400, "repeated-host"],
  ["a body", "CONNECT shop.mesh:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n", 400, "connect-with-body"],
  [
    "a chunked body",
    "CONNECT shop.mesh:80 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
    400,
    "connect-with-body",
  ],
];

describe("CONNECT", () => {
  for (const [what, head, status, reason] of refusals) {
    test(`is refused with ${what}, and the connection is closed`, async () => {
      const { client, upstream } = await meshSetting();
      client.send(`${head}\r\n`);
      const answer = await client.answer();
      expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([status, reason]);
      expect(await client.ended()).toBe("fin");
      expect(upstream.connections.length).toBe(0);
    });
  }

  test("may say that it has a body of no bytes", async () => {
    const { client } = await meshSetting();
    client.send("CONNECT shop.mesh:80 HTTP/1.1\r\nHost: shop.mesh\r\nContent-Length: 0\r\n\r\n");
    expect(await client.take(established.length)).toBe(established);
  });

  test("stays refused on a listener that is no proxy", async () => {
    const { client } = await setting({});
    const answer = await client.exchange("CONNECT shop.mesh:80 HTTP/1.1\r\nHost: shop.mesh\r\n\r\n");
    expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([405, "connect-refused"]);
  });
});
