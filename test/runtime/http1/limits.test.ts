/** Every limit on what callers and services may send: kept at the limit, refused one past it. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { statusOf, values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import { okAnswer, RecordingUpstream } from "../recording-upstream.ts";
import { gateway, RunningProxy } from "../running-proxy.ts";
import { eventually } from "../waiting.ts";

const limits =
  "{ headerBytes: 2KiB, headerFields: 5, requestLineBytes: 256B, trailerBytes: 64B, chunkExtensionBytes: 16B, messageExtensionBytes: 40B }";
const host = "Host: shop.example\r\n";

let upstream: RecordingUpstream;
let proxy: RunningProxy;
let byDefault: RunningProxy;

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  proxy = await RunningProxy.start(gateway({ ports: [upstream.port], limits, serviceLimits: limits }));
  byDefault = await RunningProxy.start(gateway({ ports: [upstream.port] }));
});

afterAll(async () => {
  await proxy.stop();
  await byDefault.stop();
  upstream.stop();
});

/** Status and reason of the answer, and how many requests reached the upstream. */
async function outcome(bytes: string, port = proxy.port()): Promise<readonly unknown[]> {
  const before = upstream.requests.length;
  const client = await RawClient.open(port);
  const answer = await client.exchange(bytes);
  client.close();
  return [
    statusOf(answer),
    values(answer, "x-clearway-reason")[0] ?? null,
    upstream.requests.length - before,
  ];
}

const accepted = [200, null, 1];

function lineOf(length: number): string {
  const around = "GET / HTTP/1.1".length;
  return `GET /${"a".repeat(length - around)} HTTP/1.1\r\n`;
}

/** A whole head of exactly so many bytes. */
function headOf(length: number): string {
  const start = `GET / HTTP/1.1\r\n${host}X-A: `;
  return `${start}${"a".repeat(length - start.length - 4)}\r\n\r\n`;
}

const fieldsOf = (count: number) => `GET / HTTP/1.1\r\n${host}${"X-A: 1\r\n".repeat(count - 1)}\r\n`;
const chunked = `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`;
const extension = (length: number) => `1;${"a".repeat(length - 1)}\r\nx\r\n`;
/** Fields and the empty line behind them. */
const trailersOf = (length: number) => `X-A: ${"a".repeat(length - "X-A: \r\n\r\n".length)}\r\n\r\n`;

describe("limits of a listener", () => {
  test("requestLineBytes: 256 and not 257, without the line's end", async () => {
    expect(await outcome(`${lineOf(256)}${host}\r\n`)).toEqual(accepted);
    expect(await outcome(`${lineOf(257)}${host}\r\n`)).toEqual([414, "request-line-too-long", 0]);
  });

  test("requestLineBytes: a line is refused before it ends", async () => {
    expect(await outcome("A".repeat(257))).toEqual([414, "request-line-too-long", 0]);
    expect(await outcome(`GET /${"a".repeat(252)}`)).toEqual([414, "request-line-too-long", 0]);
  });

  test("headerBytes: 2048 and not 2049, first and empty line included", async () => {
    expect(await outcome(headOf(2048))).toEqual(accepted);
    expect(await outcome(headOf(2049))).toEqual([431, "header-too-large", 0]);
  });

  test("headerBytes: a head is refused before it ends", async () => {
    expect(await outcome(headOf(2060).slice(0, 2049))).toEqual([431, "header-too-large", 0]);
    expect(await outcome(`GET / HTTP/1.1\r\n${"a".repeat(2049 - 16)}`)).toEqual([431, "header-too-large", 0]);
  });

  test("headerBytes: what comes behind a head does not count", async () => {
    const client = await RawClient.open(proxy.port());
    client.send(headOf(2048) + headOf(2048));
    expect([statusOf(await client.answer()), statusOf(await client.answer())]).toEqual([200, 200]);
    client.close();
  });

  test("headerFields: 5 and not the first byte of a 6th", async () => {
    expect(await outcome(fieldsOf(5))).toEqual(accepted);
    expect(await outcome(`${fieldsOf(5).slice(0, -2)}X`)).toEqual([431, "too-many-fields", 0]);
  });

  test("chunkExtensionBytes: 16 and not 17", async () => {
    expect(await outcome(`${chunked}${extension(16)}0\r\n\r\n`)).toEqual(accepted);
    expect(await outcome(`${chunked}1;${"a".repeat(17)}`)).toEqual([400, "bad-chunk-extension", 0]);
  });

  test("messageExtensionBytes: 40 and not 41", async () => {
    const two = extension(16) + extension(16);
    expect(await outcome(`${chunked}${two}${extension(8)}0\r\n\r\n`)).toEqual(accepted);
    expect(await outcome(`${chunked}${two}${extension(9)}0\r\n\r\n`)).toEqual([
      400,
      "bad-chunk-extension",
      0,
    ]);
  });

  test("trailerBytes: 64 and not 65, the empty line included", async () => {
    expect(await outcome(`${chunked}0\r\n${trailersOf(64)}`)).toEqual(accepted);
    expect(await outcome(`${chunked}0\r\n${trailersOf(65)}`)).toEqual([400, "bad-trailer", 0]);
    expect(await outcome(`${chunked}0\r\n${trailersOf(90).slice(0, 67)}`)).toEqual([400, "bad-trailer", 0]);
  });

  test("trailerBytes: the same when every byte comes alone", async () => {
    const client = await RawClient.open(proxy.port());
    client.send(`${chunked}0\r\n`);
    for (const byte of trailersOf(64)) {
      client.send(byte);
      await sleep(0);
    }
    expect(statusOf(await client.answer())).toBe(200);
    client.close();
  });

  test("headerFields: trailers have as many", async () => {
    expect(await outcome(`${chunked}0\r\n${"A: 1\r\n".repeat(5)}\r\n`)).toEqual(accepted);
    expect(await outcome(`${chunked}0\r\n${"A: 1\r\n".repeat(6)}\r\n`)).toEqual([400, "bad-trailer", 0]);
  });

  test("defaults: 60 KiB of head, 100 fields, a request line of 8 KiB, 8 KiB of trailers, 4 and 16 KiB of extensions", async () => {
    const at = byDefault.port();
    expect(await outcome(headOf(60 * 1024), at)).toEqual(accepted);
    expect(await outcome(headOf(60 * 1024 + 1), at)).toEqual([431, "header-too-large", 0]);
    expect(await outcome(fieldsOf(100), at)).toEqual(accepted);
    expect(await outcome(fieldsOf(101), at)).toEqual([431, "too-many-fields", 0]);
    expect(await outcome(`${lineOf(8192)}${host}\r\n`, at)).toEqual(accepted);
    expect(await outcome(`${lineOf(8193)}${host}\r\n`, at)).toEqual([414, "request-line-too-long", 0]);
    expect(await outcome(`${chunked}0\r\n${trailersOf(8192)}`, at)).toEqual(accepted);
    expect(await outcome(`${chunked}0\r\n${trailersOf(8193)}`, at)).toEqual([400, "bad-trailer", 0]);
    expect(await outcome(`${chunked}${extension(4096).repeat(4)}0\r\n\r\n`, at)).toEqual(accepted);
    expect(await outcome(`${chunked}${extension(4097)}`, at)).toEqual([400, "bad-chunk-extension", 0]);
    expect(await outcome(`${chunked}${extension(4096).repeat(4)}1;a`, at)).toEqual([
      400,
      "bad-chunk-extension",
      0,
    ]);
  });
});

describe("limits on what a service answers", () => {
  const ok = "HTTP/1.1 200 OK\r\n";
  const answerOf = (length: number) => {
    const start = `${ok}Content-Length: 0\r\nX-A: `;
    return `${start}${"a".repeat(length - start.length - 4)}\r\n\r\n`;
  };

  async function answered(bytes: string): Promise<readonly unknown[]> {
    const script = { onRequest: () => bytes };
    upstream.script = script;
    for (const connection of upstream.connections) connection.script = script;
    const [status, reason] = await outcome(`GET / HTTP/1.1\r\n${host}\r\n`);
    upstream.script = { onRequest: () => okAnswer };
    for (const connection of upstream.connections) connection.script = upstream.script;
    return [status, reason];
  }

  test("headerBytes: 2048 and not 2049, complete or not", async () => {
    expect(await answered(answerOf(2048))).toEqual([200, null]);
    expect(await answered(answerOf(2049))).toEqual([502, "upstream-malformed"]);
    expect(await answered(answerOf(3000).slice(0, 2049))).toEqual([502, "upstream-malformed"]);
    expect(await answered(`HTTP/1.1 200 ${"a".repeat(2040)}`)).toEqual([502, "upstream-malformed"]);
  });

  test("headerFields: 5 and not 6", async () => {
    const lines = (count: number) => `${ok}Content-Length: 0\r\n${"A: 1\r\n".repeat(count - 1)}\r\n`;
    expect(await answered(lines(5))).toEqual([200, null]);
    expect(await answered(lines(6))).toEqual([502, "upstream-malformed"]);
  });

  test("interim answers: 100 and not 101", async () => {
    const interim = (count: number) => `${"HTTP/1.1 102 \r\n\r\n".repeat(count)}${okAnswer}`;
    expect(await answered(interim(100))).toEqual([200, null]);
    expect(await answered(interim(101))).toEqual([502, "upstream-malformed"]);
  });
});

describe("connections of callers", () => {
  const get = `GET / HTTP/1.1\r\n${host}\r\n`;

  for (const where of ["a listener", "the node"] as const) {
    test(`beyond the limit of ${where} are answered 503 too-many-connections and closed; one that ends makes room`, async () => {
      const two = "{ connections: 2 }";
      const text = where === "a listener" ? { limits: two } : { root: `limits: ${two}` };
      const small = await RunningProxy.start(gateway({ ports: [upstream.port], ...text }));
      const clients = [await RawClient.open(small.port()), await RawClient.open(small.port())];
      for (const client of clients) expect(statusOf(await client.exchange(get))).toBe(200);
      const before = upstream.requests.length;
      for (const bytes of ["", get, get.repeat(100)]) {
        const third = await RawClient.open(small.port());
        third.send(bytes);
        const answer = await third.answer();
        expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([
          503,
          "too-many-connections",
        ]);
        expect(await third.ended()).toBe("fin");
        third.close();
      }
      expect(upstream.requests.length).toBe(before);
      clients[0]!.close();
      await eventually("room", () => small.open.downstream === 1);
      const fourth = await RawClient.open(small.port());
      expect(statusOf(await fourth.exchange(get))).toBe(200);
      fourth.close();
      clients[1]!.close();
      await small.stop();
      expect(small.open).toEqual({ downstream: 0, upstream: small.open.upstream });
    });
  }

  test("beyond the limit are told so 100 at a time; further ones are reset", async () => {
    const small = await RunningProxy.start(gateway({ ports: [upstream.port], limits: "{ connections: 1 }" }));
    const clients: RawClient[] = [];
    for (let i = 0; i < 103; i++) clients.push(await RawClient.open(small.port()));
    for (const client of clients.slice(1, 101)) expect(statusOf(await client.answer())).toBe(503);
    for (const client of clients.slice(101)) expect(await client.ended()).toBe("reset");
    for (const client of clients) client.close();
    await small.stop();
  });
});
