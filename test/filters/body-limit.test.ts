import { afterEach, describe, expect, test } from "bun:test";
import { type Message, statusOf, values } from "../runtime/messages.ts";
import { okAnswer, type UpstreamScript } from "../runtime/recording-upstream.ts";
import { closeAll, setting } from "../runtime/setting.ts";

afterEach(closeAll);

const head = "POST / HTTP/1.1\r\nHost: shop.example\r\n";
const chunk = (length: number) => `${length.toString(16)}\r\n${"x".repeat(length)}\r\n`;
const route = "        filters: [{ body-limit: { max: 1KiB } }]";

function behindLimit(script: UpstreamScript = { onRequest: () => okAnswer }) {
  return setting(script, { route });
}

function refusal(answer: Message) {
  return [statusOf(answer), ...values(answer, "x-clearway-reason"), answer.body];
}

const refused = [413, "body-too-large", "body-too-large: the request's body is larger than 1024 bytes\n"];

describe("body-limit", () => {
  test("lets pass what is within the limit, told or not", async () => {
    const { client, upstream } = await behindLimit();
    const told = `${head}Content-Length: 1024\r\n\r\n${"x".repeat(1024)}`;
    expect(statusOf(await client.exchange(told))).toBe(200);
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n${chunk(1000)}${chunk(24)}0\r\n\r\n`;
    expect(statusOf(await client.exchange(chunked))).toBe(200);
    expect(statusOf(await client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))).toBe(200);
    expect(upstream.requests.map(({ body }) => body.length)).toEqual([1024, 1024, 0]);
  });

  test("refuses a told length at once, before the body is asked for", async () => {
    const { client, upstream } = await behindLimit();
    const answer = await client.exchange(`${head}Content-Length: 1025\r\nExpect: 100-continue\r\n\r\n`);
    expect(refusal(answer)).toEqual(refused);
    expect(client.received).not.toContain("100 Continue");
    expect(upstream.connections).toHaveLength(0);
  });

  test("refuses a body that becomes too large on its way, and never ends it for the service", async () => {
    const { client, upstream, proxy } = await behindLimit();
    client.send(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk(1024)}`);
    const connection = await upstream.connection();
    await connection.until("the first part", () =>
      connection.received.includes("x".repeat(99)) ? true : null,
    );
    client.send(chunk(1));
    expect(refusal(await client.answer("POST"))).toEqual(refused);
    await connection.until("the end", () => (connection.peer === "open" ? null : true));
    expect(upstream.requests).toHaveLength(0);
    expect(proxy.measured.map(({ status, reason }) => [status, reason])).toEqual([[413, "body-too-large"]]);
    expect(proxy.log.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("is not charged to the service", async () => {
    const detection = "    outlierDetection: { consecutiveErrors: 1, maxEjected: 100% }\n    panic: 0%";
    const { client, proxy } = await setting({ onRequest: () => okAnswer }, { route, service: detection });
    const answer = await client.exchange(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk(2000)}0\r\n\r\n`);
    expect(refusal(answer)).toEqual(refused);
    expect(proxy.endpoints.get("shop")?.ejected ?? 0).toBe(0);
  });

  test("cuts an answer short that has begun before the body was too large", async () => {
    const { client, upstream } = await behindLimit({
      onData: (connection) => {
        if (!connection.received.includes("xxx") || connection.received.includes("answered")) return;
        connection.script = {};
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
      },
    });
    client.send(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk(1000)}`);
    await client.until("the answer's beginning", () => (client.unread.includes("ok\r\n") ? true : null));
    client.send(chunk(100));
    await client.until("the end", () => (client.peer === "open" ? null : true));
    expect(client.unread).not.toEndWith("0\r\n\r\n");
    const connection = await upstream.connection();
    await connection.until("the end", () => (connection.peer === "open" ? null : true));
  });
});
