/** Connections on both sides: kept, reused, given up, replaced, refused. */
import { afterEach, describe, expect, test } from "bun:test";
import { statusOf, values } from "../messages.ts";
import { okAnswer, type RecordedConnection, type UpstreamScript } from "../recording-upstream.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";

const host = "Host: shop.example\r\n";
const get = `GET / HTTP/1.1\r\n${host}\r\n`;
const post = `POST / HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nhi`;
const numbered = (number: number) => `GET /${number} HTTP/1.1\r\n${host}\r\n`;

afterEach(closeAll);

describe("pipelined requests", () => {
  test("are answered in their order, though later answers could be ready sooner", async () => {
    const held: RecordedConnection[] = [];
    const upstream = await upstreamWith({
      onRequest: (request, connection) => {
        if (request.start.startsWith("GET /1 ")) {
          held.push(connection);
          return null;
        }
        return okAnswer.replace("ok", request.start.slice(5, 6).repeat(2));
      },
    });
    const proxy = await proxyTo({ ports: [upstream.port] });
    const client = await caller(proxy);
    client.send([1, 2, 3, 4].map(numbered).join(""));
    await upstream.request();
    held[0]!.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n11");
    const bodies = [];
    for (let i = 0; i < 4; i++) bodies.push((await client.answer()).body);
    expect(bodies).toEqual(["11", "22", "33", "44"]);
  });

  test("behind a body begin exactly where it ends", async () => {
    const upstream = await upstreamWith();
    const proxy = await proxyTo({ ports: [upstream.port] });
    const client = await caller(proxy);
    const chunked = `POST /2 HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n`;
    client.send(post + chunked + get + post + get);
    for (let i = 0; i < 5; i++) expect(statusOf(await client.answer())).toBe(200);
    expect(upstream.requests.map(({ body }) => body)).toEqual(["hi", "abc", "", "hi", ""]);
  });

  test("a thousand of them in one write get a thousand answers", async () => {
    const upstream = await upstreamWith();
    const proxy = await proxyTo({ ports: [upstream.port] });
    const client = await caller(proxy);
    client.send(get.repeat(1000));
    for (let i = 0; i < 1000; i++) await client.answer();
    expect(upstream.requests.length).toBe(1000);
    expect(upstream.connections.length).toBe(1);
  });

  test("stop being made while their answers are not read", async () => {
    const body = "x".repeat(64 * 1024);
    const upstream = await upstreamWith({
      onRequest: () => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    });
    const proxy = await proxyTo({ ports: [upstream.port] });
    const client = await caller(proxy);
    client.pause();
    client.send(get.repeat(2000));
    let before = -1;
    await eventually("no further request", () => {
      const stands = upstream.requests.length === before && before > 0;
      before = upstream.requests.length;
      return stands;
    });
    expect(upstream.requests.length).toBeLessThan(500);
    client.resume();
    await eventually("all requests", () => upstream.requests.length === 2000);
  });
});

describe("a caller's connection", () => {
  const cases = [
    ["HTTP/1.1", get, "stays"],
    ["HTTP/1.1 with Connection: close", `GET / HTTP/1.1\r\n${host}Connection: Close\r\n\r\n`, "ends"],
    [
      "HTTP/1.1 with close among options",
      `GET / HTTP/1.1\r\n${host}Connection: x\r\nConnection: y, close\r\n\r\n`,
      "ends",
    ],
    ["HTTP/1.0", `GET / HTTP/1.0\r\n${host}\r\n`, "ends"],
    ["HTTP/1.0 with keep-alive", `GET / HTTP/1.0\r\n${host}Connection: Keep-Alive\r\n\r\n`, "stays"],
    [
      "HTTP/1.0 with keep-alive and close",
      `GET / HTTP/1.0\r\n${host}Connection: keep-alive, close\r\n\r\n`,
      "ends",
    ],
  ] as const;
  for (const [name, bytes, then] of cases) {
    test(`${then} after an answer to ${name}`, async () => {
      const upstream = await upstreamWith();
      const proxy = await proxyTo({ ports: [upstream.port] });
      const client = await caller(proxy);
      const answer = await client.exchange(bytes);
      const said = then === "ends" ? ["close"] : bytes.includes("HTTP/1.0") ? ["keep-alive"] : [];
      expect(values(answer, "connection")).toEqual(said);
      if (then === "ends") expect(await client.ended()).toBe("fin");
      else expect(statusOf(await client.exchange(get))).toBe(200);
      expect(upstream.connections.length).toBe(1);
    });
  }

  test("is never read on behind a body that nobody read to its end", async () => {
    const upstream = await upstreamWith({
      onData: (connection) => connection.send("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"),
    });
    upstream.script.onData = (connection) => {
      if (connection.received.includes("\r\n\r\n") && connection.requests.length === 0)
        connection.send("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
    };
    const proxy = await proxyTo({ ports: [upstream.port] });
    for (const framing of ["Transfer-Encoding: chunked", "Content-Length: 70000"]) {
      const client = await caller(proxy);
      client.send(`POST / HTTP/1.1\r\n${host}${framing}\r\n\r\n`);
      const answer = await client.answer();
      expect([statusOf(answer), values(answer, "connection")]).toEqual([413, ["close"]]);
      client.send(`0\r\n\r\n${numbered(666)}`);
      expect(await client.ended()).toBe("fin");
      expect(client.unread).toBe("");
    }
    expect(upstream.connections.some(({ received }) => received.includes("/666"))).toBe(false);
  });

  test("lives on when the rest of a short body comes after the answer", async () => {
    const upstream = await upstreamWith({});
    const proxy = await proxyTo({ ports: [upstream.port] });
    const client = await caller(proxy);
    client.send(`POST / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\n`);
    const first = await upstream.connection();
    await first.until("the head", () => (first.received.endsWith("\r\n\r\n") ? true : null));
    first.send("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    expect(statusOf(await client.answer())).toBe(403);
    upstream.script = { onRequest: () => okAnswer };
    client.send(`hello${numbered(2)}`);
    expect(statusOf(await client.answer())).toBe(200);
    expect(upstream.connections.length).toBe(2);
    expect(upstream.requests.map(({ start }) => start)).toEqual(["GET /2 HTTP/1.1"]);
  });

  test("that ends aborts what the service does for it, at once", async () => {
    for (const [bytes, filters] of [
      [get, ""],
      [post, ""],
      [`POST / HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\npart`, ""],
      [get, "    filters: [request-id]"],
      [`POST / HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\npart`, "    filters: [request-id]"],
    ] as const) {
      for (const how of ["close", "reset", "finish"] as const) {
        const upstream = await upstreamWith({});
        const proxy = await proxyTo({ ports: [upstream.port], listener: filters });
        const client = await caller(proxy);
        client.send(bytes);
        const connection = await upstream.connection();
        await connection.until("the head", () => (connection.received.includes("\r\n\r\n") ? true : null));
        client[how]();
        expect(await connection.ended()).toBe("reset");
        await eventually("the measurement", () => proxy.measured.length === 1);
        expect(proxy.measured[0]).toMatchObject({ status: 499, reason: "caller-left" });
        expect(proxy.runtime.report().activeRequests).toBe(0);
      }
    }
  });

  test("that ends in the middle of an answer aborts the service too", async () => {
    for (const filters of ["", "    filters: [request-id]"]) {
      const upstream = await upstreamWith({
        onRequest: () => "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\npart",
      });
      const proxy = await proxyTo({ ports: [upstream.port], listener: filters });
      const client = await caller(proxy);
      client.send(get);
      await client.until("the part", () => (client.received.endsWith("part") ? true : null));
      client.close();
      expect(await (await upstream.connection()).ended()).toBe("reset");
    }
  });
});

describe("a connection to a service", () => {
  test("serves callers one after the other", async () => {
    const upstream = await upstreamWith();
    const proxy = await proxyTo({ ports: [upstream.port] });
    for (let i = 0; i < 10; i++) {
      const client = await caller(proxy);
      expect(statusOf(await client.exchange(i % 2 === 0 ? get : post))).toBe(200);
      client.close();
    }
    expect(upstream.connections.length).toBe(1);
  });

  test("is given up when bytes come that nobody asked for", async () => {
    const upstream = await upstreamWith();
    const proxy = await proxyTo({ ports: [upstream.port] });
    const client = await caller(proxy);
    await client.exchange(get);
    upstream.connections[0]!.send("HTTP/1.1 200 Poison\r\nContent-Length: 0\r\n\r\n");
    expect(await upstream.connections[0]!.ended()).toBe("reset");
    expect((await client.exchange(get)).start).toBe("HTTP/1.1 200 OK");
    expect(upstream.connections.length).toBe(2);
  });

  test("is not used again after an answer that came before the request's end", async () => {
    const upstream = await upstreamWith({});
    const proxy = await proxyTo({ ports: [upstream.port] });
    const client = await caller(proxy);
    client.send(`POST / HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\nhello`);
    const connection = await upstream.connection();
    await connection.until("the body", () => (connection.received.endsWith("hello") ? true : null));
    connection.send(okAnswer);
    expect(statusOf(await client.answer())).toBe(200);
    expect(await connection.ended()).not.toBe("open");
  });

  /** Closes the connection, with no answer, when the second request on it comes. */
  function closesUnderSecond(how: "finish" | "reset"): UpstreamScript {
    return {
      onRequest: (_request, connection) => {
        if (connection.requests.length < 2) return okAnswer;
        connection[how]();
        return null;
      },
    };
  }

  for (const how of ["finish", "reset"] as const) {
    for (const filters of ["", "    filters: [request-id]"]) {
      test(`that was kept too long is replaced under a safe request (${how}${filters})`, async () => {
        for (const method of ["GET", "HEAD", "OPTIONS", "TRACE"]) {
          const upstream = await upstreamWith(closesUnderSecond(how));
          const proxy = await proxyTo({ ports: [upstream.port], listener: filters });
          const client = await caller(proxy);
          await client.exchange(get);
          const answer = await client.exchange(`${method} / HTTP/1.1\r\n${host}\r\n`, method);
          expect([method, statusOf(answer), upstream.connections.length]).toEqual([method, 200, 2]);
        }
      });

      test(`that was kept too long is not replaced under others: they are told (${how}${filters})`, async () => {
        for (const bytes of [
          post,
          `DELETE / HTTP/1.1\r\n${host}\r\n`,
          `GET / HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nhi`,
        ]) {
          const upstream = await upstreamWith(closesUnderSecond(how));
          const proxy = await proxyTo({ ports: [upstream.port], listener: filters });
          const client = await caller(proxy);
          expect(statusOf(await client.exchange(get))).toBe(200);
          const answer = await client.exchange(bytes);
          expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([502, "upstream-reset"]);
          expect(upstream.requests.length).toBe(2);
        }
      });
    }
  }

  test("that closes while it is idle is not used", async () => {
    const upstream = await upstreamWith();
    const proxy = await proxyTo({ ports: [upstream.port] });
    const client = await caller(proxy);
    await client.exchange(post);
    upstream.connections[0]!.finish();
    await eventually("no idle connection", () => proxy.open.upstream === 0);
    expect(statusOf(await client.exchange(post))).toBe(200);
    expect(upstream.connections.length).toBe(2);
  });

  test("that fails when fresh is not tried again: the service saw the request", async () => {
    const upstream = await upstreamWith({ onRequest: (_request, connection) => void connection.finish() });
    const proxy = await proxyTo({ ports: [upstream.port] });
    const client = await caller(proxy);
    expect(statusOf(await client.exchange(get))).toBe(502);
    expect(upstream.requests.length).toBe(1);
  });
});
