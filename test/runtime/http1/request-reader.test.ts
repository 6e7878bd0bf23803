/** Readers pass from one connection to another: nothing of a request may come along. */
import { afterEach, expect, test } from "bun:test";
import { giveBackReader, RequestReader, takeReader } from "../../../src/runtime/http1/request-reader.ts";
import { statusOf, values } from "../messages.ts";
import { gateway } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, setting, upstreamWith } from "../setting.ts";

afterEach(closeAll);

const limits = {
  headerBytes: 4_096,
  headerFields: 100,
  requestLineBytes: 1_024,
  trailerBytes: 1_024,
  chunkExtensionBytes: 16,
  messageExtensionBytes: 16,
  bufferHighBytes: 1_024,
  bufferLowBytes: 512,
  headerTimeoutMs: 1_000,
  idleTimeoutMs: 1_000,
  silenceTimeoutMs: 1_000,
  routeTimeoutMs: 1_000,
  connections: 10,
};

/** A reader that read this, and went back. */
function used(request: string) {
  const reader = takeReader(limits, "refused");
  reader.append(Buffer.from(request));
  reader.readHead();
  reader.release();
  reader.dropInput();
  giveBackReader(reader);
  return reader;
}

test("takeReader gives one that reads as a new one does, whatever it read before", () => {
  const long = `${"h".repeat(300)}.example`;
  const before = [
    `PUT /secret?token=1 HTTP/1.0\r\nHost: ${long}\r\nConnection: close\r\nContent-Length: 9\r\n\r\n`,
    `GET https://${long}/secret HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\nVia: a\r\n\r\n`,
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    "\r\nGET  / HTTP/1.1\r\n\r\n",
  ];
  const after = [
    "\r\nGET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    "GET /a?b HTTP/1.0\r\n\r\n",
    "BAD\r\n",
    "GET / HTTP/1.1\r\n\r\n",
  ];
  for (const first of before) {
    for (const second of after) {
      const fresh = new RequestReader(limits);
      const reader = used(first);
      expect(takeReader(limits, "refused")).toBe(reader);
      const [wanted, found] = [fresh, reader].map((one) => {
        one.append(Buffer.from(second));
        const outcome = one.readHead();
        const { minor, facts, isWhole, allowsNext, continueAwaited, problem, bodyBytesRead, trailers } = one;
        const said = outcome === "done" ? { ...facts } : facts.method;
        return {
          outcome,
          said,
          minor,
          isWhole,
          allowsNext,
          continueAwaited,
          problem,
          bodyBytesRead,
          trailers,
        };
      });
      // A refused one closes its connection, whatever the last one allowed.
      if (found!.outcome === "bad") found!.allowsNext = wanted!.allowsNext;
      expect(found).toEqual(wanted!);
    }
  }
});

test("takeReader keeps to the limits that it was given last", () => {
  used("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
  const again = takeReader({ ...limits, headerBytes: 20 }, "refused");
  again.append(Buffer.from("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"));
  expect([again.readHead(), again.problem]).toEqual(["bad", "header-too-large"]);
});

test("a connection reads its next request by the limits of the newest configuration", async () => {
  const upstream = await upstreamWith();
  const proxy = await proxyTo({ ports: [upstream.port] });
  const client = await caller(proxy);
  const request = `GET / HTTP/1.1\r\nHost: shop.example\r\nX-Long: ${"a".repeat(2_000)}\r\n\r\n`;
  expect(statusOf(await client.exchange(request))).toBe(200);
  await proxy.apply(
    gateway({ ports: [upstream.port], limits: "{ headerBytes: 1KiB, requestLineBytes: 256B }" }),
  );
  const answer = await client.exchange(request);
  expect([statusOf(answer), values(answer, "x-clearway-reason")]).toEqual([431, ["header-too-large"]]);
});

test("requests of many connections that come in pieces do not mix", async () => {
  const { proxy } = await setting({
    onRequest: ({ start, body }) => {
      const said = `${start.split(" ")[1]} ${body}`;
      return `HTTP/1.1 200 OK\r\nContent-Length: ${said.length}\r\n\r\n${said}`;
    },
  });
  const clients = await Promise.all(Array.from({ length: 20 }, () => caller(proxy)));
  for (let round = 0; round < 5; round++) {
    const texts = clients.map((_, index) => {
      const body = `body ${index} of ${round}`;
      return `POST /${index}/${round} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    });
    const cuts = texts.map((text, index) => (text.length * (1 + ((index + round) % 7))) >> 3);
    for (const [index, client] of clients.entries()) client.send(texts[index]!.slice(0, cuts[index]));
    for (const [index, client] of clients.entries()) client.send(texts[index]!.slice(cuts[index]));
    const answers = await Promise.all(clients.map((client) => client.answer("POST")));
    expect(answers.map(({ body }) => body)).toEqual(
      clients.map((_, index) => `/${index}/${round} body ${index} of ${round}`),
    );
  }
});
