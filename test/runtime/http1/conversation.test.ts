/** What is said while a request is under way: Expect and interim answers, Via, the caller's origin, the path policy. */
import { afterEach, describe, expect, test } from "bun:test";
import { type Message, statusOf, values } from "../messages.ts";
import { okAnswer, type RecordingUpstream } from "../recording-upstream.ts";
import { gateway, RunningProxy } from "../running-proxy.ts";
import { caller, closeAll, setting, upstreamWith } from "../setting.ts";

const host = "Host: shop.example\r\n";
const get = `GET / HTTP/1.1\r\n${host}\r\n`;
const expecting = `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`;
const continued = "HTTP/1.1 100 Continue\r\n\r\n";
const chain = "    filters: [request-id]";

afterEach(closeAll);

async function headAt(upstream: RecordingUpstream) {
  const connection = await upstream.connection();
  await connection.until("the head", () => (connection.unread.includes("\r\n\r\n") ? true : null));
  return connection;
}

for (const listener of ["", chain]) {
  describe(`Expect: 100-continue${listener === "" ? "" : " through a filter"}`, () => {
    test("is asked of the service, whose 100 lets the caller send", async () => {
      const { upstream, client } = await setting({ onRequest: () => okAnswer }, { listener });
      client.send(expecting);
      const connection = await headAt(upstream);
      expect(connection.unread.toLowerCase()).toContain("expect: 100-continue\r\n");
      expect(client.received).toBe("");
      connection.send(continued);
      expect(await client.take(continued.length)).toBe(continued);
      client.send("hello");
      expect(statusOf(await client.answer())).toBe(200);
      expect((await upstream.request()).body).toBe("hello");
      expect(statusOf(await client.exchange(get))).toBe(200);
      expect(upstream.connections.length).toBe(1);
    });

    test("need not be answered: the caller may send without", async () => {
      const { upstream, client } = await setting({ onRequest: () => okAnswer }, { listener });
      client.send(expecting);
      await headAt(upstream);
      client.send("hello");
      expect(statusOf(await client.next())).toBe(200);
      expect(statusOf(await client.exchange(get))).toBe(200);
    });

    test("that is answered with a refusal closes the connection: nobody knows whether the body comes", async () => {
      const { upstream, client } = await setting({}, { listener });
      client.send(expecting);
      const connection = await headAt(upstream);
      connection.send("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
      const answer = await client.answer();
      expect([statusOf(answer), values(answer, "connection")]).toEqual([413, ["close"]]);
      client.send("hello");
      expect(await client.ended()).toBe("fin");
      expect(await connection.ended()).not.toBe("open");
      expect(connection.received).not.toContain("hello");
    });
  });
}

describe("interim answers", () => {
  test("go out at once, before the answer is there", async () => {
    const { upstream, client } = await setting({});
    client.send(get);
    await upstream.request();
    const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    upstream.connections[0]!.send(hints);
    expect(await client.take(hints.length)).toBe(hints);
    upstream.connections[0]!.send(okAnswer);
    expect(statusOf(await client.answer())).toBe(200);
  });

  test("lose what concerns one connection, and internal fields", async () => {
    const { client } = await setting({
      onRequest: () =>
        `HTTP/1.1 103 x\r\nConnection: close, X-A\r\nX-A: 1\r\nX-Clearway-Reason: a\r\nLink: b\r\n\r\n${okAnswer}`,
    });
    client.send(get);
    const interim = "HTTP/1.1 103 x\r\nLink: b\r\n\r\n";
    expect(await client.take(interim.length)).toBe(interim);
  });
});

describe("Via", () => {
  const loops = [
    "Via: 1.1 clearway-test\r\n",
    "Via: 1.0 a, 1.1 clearway-test (x), 1.1 b\r\n",
    "Via: 1.1 clearway-test\r\nX-A: 1\r\nVia: 1.1 later.example\r\n",
  ];
  for (const lines of loops) {
    test(`that names this node ends a loop with 508: ${JSON.stringify(lines)}`, async () => {
      const { upstream, client } = await setting({ onRequest: () => okAnswer });
      const answer = await client.exchange(`GET / HTTP/1.1\r\n${host}${lines}\r\n`);
      expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([508, "loop-detected"]);
      expect(statusOf(await client.exchange(get))).toBe(200);
      expect(upstream.requests.length).toBe(1);
    });
  }

  test("that names others, or this node in a comment only, is no loop", async () => {
    const { client } = await setting({ onRequest: () => okAnswer });
    for (const via of ["1.1 clearway-test2", "1.1 a (clearway-test)", "1.1 xclearway-test"]) {
      expect(statusOf(await client.exchange(`GET / HTTP/1.1\r\n${host}Via: ${via}\r\n\r\n`))).toBe(200);
    }
  });

  test("ends a real loop at its first turn", async () => {
    const free = await upstreamWith();
    free.stop();
    const proxy = await RunningProxy.start(
      gateway({ ports: [free.port] }).replace("127.0.0.1:0", `127.0.0.1:${free.port}`),
    );
    const client = await caller(proxy);
    expect(statusOf(await client.exchange(get))).toBe(508);
    expect(proxy.measured.map(({ status, reason }) => [status, reason])).toEqual([
      [508, "loop-detected"],
      [508, ""],
    ]);
    client.close();
    await proxy.stop();
  });
});

describe("trusted hops", () => {
  const said =
    "X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\nX-Forwarded-Proto: https, http\r\nX-Forwarded-Host: a.example, b.example\r\n" +
    "Forwarded: for=192.0.2.1;proto=https, for=192.0.2.2\r\n";
  const cases = [
    [0, ["127.0.0.1"], ["http"], ["shop.example"], ["for=127.0.0.1;host=shop.example;proto=http"]],
    [
      1,
      ["192.0.2.2, 127.0.0.1"],
      ["http"],
      ["b.example"],
      ["for=192.0.2.2, for=127.0.0.1;host=shop.example;proto=http"],
    ],
    [
      2,
      ["192.0.2.1, 192.0.2.2, 127.0.0.1"],
      ["https"],
      ["a.example"],
      ["for=192.0.2.1;proto=https, for=192.0.2.2, for=127.0.0.1;host=shop.example;proto=http"],
    ],
  ] as const;
  for (const [hops, addresses, schemes, hosts, elements] of cases) {
    for (const filters of ["", chain]) {
      test(`${hops}: so much of what a caller says is passed on${filters === "" ? "" : ", through a filter"}`, async () => {
        const { upstream, client } = await setting(
          { onRequest: () => okAnswer },
          { listener: `    trustedHops: ${hops}\n${filters}` },
        );
        await client.exchange(`GET / HTTP/1.1\r\n${host}${said}\r\n`);
        const [request] = upstream.requests;
        expect(values(request!, "x-forwarded-for")).toEqual([...addresses]);
        expect(values(request!, "x-forwarded-proto")).toEqual([...schemes]);
        expect(values(request!, "x-forwarded-host")).toEqual([...hosts]);
        expect(values(request!, "forwarded")).toEqual([...elements]);
      });
    }
  }
});

describe("the path policy", () => {
  const routes = `
      - match: { path: /admin/* }
        respond: { status: 403, body: private }
`;
  async function seen(root: string, path: string) {
    const { upstream, client } = await setting({ onRequest: () => okAnswer }, { root, route: routes });
    const answer = await client.exchange(`GET ${path} HTTP/1.1\r\n${host}\r\n`);
    return [statusOf(answer), upstream.requests[0]?.start.split(" ")[1] ?? null];
  }

  test("matches the path that is forwarded, not another spelling of it", async () => {
    const resolving = "paths: { dotSegments: resolve, merge: true, escapedSlash: decode }";
    for (const path of [
      "/admin/a",
      "/x/../admin/a",
      "//admin//a",
      "/%61dmin/a",
      "/admin%2fa",
      "/x/%2e%2e/admin/a",
    ]) {
      expect([path, ...(await seen(resolving, path))]).toEqual([path, 403, null]);
    }
    expect(await seen(resolving, "/admin/../x//y/./%7e?a=/../b")).toEqual([200, "/x/y/~?a=/../b"]);
  });

  test("by default refuses dot segments, and keeps slashes as they are", async () => {
    expect(await seen("", "/x/../admin/a")).toEqual([400, null]);
    expect(await seen("", "//admin/a")).toEqual([200, "//admin/a"]);
    expect(await seen("", "/admin%2fa")).toEqual([200, "/admin%2Fa"]);
    expect(await seen("", "/%61dmin/a")).toEqual([403, null]);
  });

  test("sees the path of an absolute target too", async () => {
    expect(await seen("", "http://shop.example/admin/a")).toEqual([403, null]);
    expect(await seen("", "http://shop.example/x/../admin/a")).toEqual([400, null]);
  });
});

describe("an answer that no service gives", () => {
  const routes = `
      - match: { path: /text }
        respond: { status: 403, body: private }
      - match: { path: /empty }
        respond: { status: 200 }
      - match: { path: /moved }
        redirect: { path: /text }
      - match: { path: /nothing }
        respond: { status: 204 }
`;
  for (const [listener, paths] of [
    ["", ["/text", "/empty", "/moved", "/nothing", "/a/../b"]],
    [chain, ["/text", "/nothing"]],
  ] as const) {
    test(`tells HEAD what it tells GET, its length too, without a body${listener}`, async () => {
      const { client } = await setting({ onRequest: () => okAnswer }, { listener, route: routes });
      for (const path of paths) {
        const get = await client.exchange(`GET ${path} HTTP/1.1\r\n${host}\r\n`);
        const head = await client.exchange(`HEAD ${path} HTTP/1.1\r\n${host}\r\n`, "HEAD");
        const varying = ["date", "x-request-id"];
        const told = ({ start, fields }: Message) => [
          start,
          ...fields.filter(([name]) => !varying.includes(name.toLowerCase())),
        ];
        expect(told(head)).toEqual(told(get));
        expect(values(head, "content-length")).toEqual(path === "/nothing" ? [] : [`${get.body.length}`]);
        expect(head.body).toBe("");
      }
    });
  }
});
