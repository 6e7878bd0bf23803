/** What goes through, byte for byte: requests to a service, answers to callers, also through a filter. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { statusOf, values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import { okAnswer, type RecordedConnection, RecordingUpstream } from "../recording-upstream.ts";
import { gateway, RunningProxy } from "../running-proxy.ts";
import { forwardedAnswers } from "./tables/answers.ts";
import { forwardedRequests } from "./tables/forwarded-requests.ts";
import { malformedBodies, malformedHeads, truncatedAnswers } from "./tables/malformed-answers.ts";

let upstream: RecordingUpstream;
let plain: RunningProxy;
let chained: RunningProxy;

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const filters =
  "    filters: [{ headers: { request: { set: { x-seen: yes } }, response: { set: { x-done: yes } } } }]";

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  plain = await RunningProxy.start(gateway({ ports: [upstream.port] }));
  chained = await RunningProxy.start(gateway({ ports: [upstream.port], listener: filters }));
});

afterAll(async () => {
  await plain.stop();
  await chained.stop();
  upstream.stop();
});

/** Whether the last that some connection to the service got is this. */
const reached = (bytes: string) => upstream.connections.some(({ received }) => received.endsWith(bytes));

describe("a request reaches the service", () => {
  for (const { name, bytes, method, forwarded } of forwardedRequests) {
    test(`byte for byte: ${name}`, async () => {
      const client = await RawClient.open(plain.port());
      const before = upstream.bytes;
      expect(statusOf(await client.exchange(bytes, method))).toBe(200);
      client.close();
      expect(upstream.bytes - before).toBe(forwarded.length);
      expect(reached(forwarded)).toBe(true);
    });

    test(`through a filter that sets one field, otherwise as without: ${name}`, async () => {
      const client = await RawClient.open(chained.port());
      const answer = await client.exchange(bytes, method);
      expect([statusOf(answer), values(answer, "x-done")]).toEqual([200, ["yes"]]);
      client.close();
      expect(reached(forwarded.replace("X-Forwarded-For: 127", "x-seen: yes\r\nX-Forwarded-For: 127"))).toBe(
        true,
      );
    });
  }
});

/** Where the last answer was sent from. */
let answering: RecordedConnection;

/** What the service answers from now on, on connections that it has and on new ones. */
function serve(onRequest: (connection: RecordedConnection) => string | null): void {
  upstream.script = { onRequest: (_request, connection) => onRequest(connection) };
  for (const connection of upstream.connections) connection.script = upstream.script;
}

function answerWith(bytes: string, after: "stay" | "close"): void {
  serve((connection) => {
    answering = connection;
    connection.send(bytes);
    if (after === "close") connection.finish();
    return null;
  });
}

const answerOk = () => serve(() => okAnswer);

describe("an answer reaches the caller", () => {
  for (const { name, method, bytes, after, caller, caller10, reuse } of forwardedAnswers) {
    const request = `${method} / HTTP/1.1\r\nHost: shop.example\r\n\r\n`;

    test(`byte for byte: ${name}`, async () => {
      answerWith(bytes, after);
      const client = await RawClient.open(plain.port());
      client.send(request);
      expect(await client.take(caller.length)).toBe(caller);
      const connections = upstream.connections.length;
      answerOk();
      expect(statusOf(await client.exchange(get))).toBe(200);
      expect(upstream.connections.length - connections).toBe(reuse === "yes" ? 0 : 1);
      client.close();
    });

    test(`framed for HTTP/1.0, and without interim answers: ${name}`, async () => {
      answerWith(bytes, after);
      const client = await RawClient.open(plain.port());
      client.send(`${method} / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`);
      expect(await client.take(caller10.length)).toBe(caller10);
      answerOk();
      if (caller10.includes("connection: close")) expect(await client.ended()).toBe("fin");
      else expect(statusOf(await client.exchange(get))).toBe(200);
      expect(client.unread).toBe("");
      client.close();
    });

    test(`through a filter that sets one field, otherwise as without: ${name}`, async () => {
      answerWith(bytes, after);
      const client = await RawClient.open(chained.port());
      client.send(request);
      const got = await client.take(caller.length + "x-done: yes\r\n".length);
      expect(got.replace("x-done: yes\r\n", "")).toBe(caller);
      answerOk();
      expect(statusOf(await client.exchange(get))).toBe(200);
      client.close();
    });
  }
});

describe("bytes of a service that are no answer", () => {
  for (const { name, bytes } of malformedHeads) {
    test(`become 502 at the first wrong byte, and end its connection: ${name}`, async () => {
      for (const proxy of [plain, chained]) {
        answerWith(bytes, "stay");
        const client = await RawClient.open(proxy.port());
        client.send(get);
        const answer = await client.answer();
        expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([
          502,
          "upstream-malformed",
        ]);
        expect(await answering.ended()).toBe("reset");
        answerOk();
        expect(statusOf(await client.exchange(get))).toBe(200);
        client.close();
      }
    });
  }

  for (const { name, bytes } of malformedBodies) {
    test(`cut the answer off so that nobody takes it for whole: ${name}`, async () => {
      for (const proxy of [plain, chained]) {
        answerWith(bytes, "stay");
        const client = await RawClient.open(proxy.port());
        client.send(get);
        expect(await client.ended()).toBe("reset");
        expect(await answering.ended()).toBe("reset");
        expect(client.received).not.toContain("\r\n0\r\n");
        client.close();
      }
      answerOk();
    });
  }

  for (const { name, bytes } of truncatedAnswers) {
    test(`never end well when the service closes too soon: ${name}`, async () => {
      for (const proxy of [plain, chained]) {
        for (const version of ["1.1", "1.0"]) {
          answerWith(bytes, "close");
          const client = await RawClient.open(proxy.port());
          client.send(`GET / HTTP/${version}\r\nHost: shop.example\r\n\r\n`);
          expect(await client.ended()).toBe("reset");
          client.close();
        }
      }
      answerOk();
    });
  }

  test("and no bytes at all become 502 upstream-reset", async () => {
    for (const bytes of ["", "H", "HTTP/1.1 200 OK\r\nContent-Le"]) {
      answerWith(bytes, "close");
      const client = await RawClient.open(plain.port());
      const answer = await client.exchange(
        "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\n\r\nhi",
      );
      expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([502, "upstream-reset"]);
      client.close();
    }
    answerOk();
  });
});
