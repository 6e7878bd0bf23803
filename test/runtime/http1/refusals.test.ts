/** What the codec refuses: at the first wrong byte, with a stable reason, closed, and unseen by any service. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { statusOf, values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import { okAnswer, RecordingUpstream } from "../recording-upstream.ts";
import { gateway, RunningProxy } from "../running-proxy.ts";
import { refusedBodies } from "./tables/refused-bodies.ts";
import { refusedHeads, refusedPaths } from "./tables/refused-heads.ts";

let upstream: RecordingUpstream;
let proxy: RunningProxy;
let chained: RunningProxy;

const probe = "GET /probe HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const withFilter = "    filters: [{ headers: { request: { set: { x-seen: yes } } } }]";

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  proxy = await RunningProxy.start(gateway({ ports: [upstream.port] }));
  chained = await RunningProxy.start(gateway({ ports: [upstream.port], listener: withFilter }));
});

afterAll(async () => {
  await proxy.stop();
  await chained.stop();
  upstream.stop();
});

/** Everything that reached the upstream while `run` ran, as it came; a whole request behind it must be all there is. */
async function reaching(run: () => Promise<void>): Promise<string> {
  const before = upstream.connections.map(({ received }) => received.length);
  await run();
  const prober = await RawClient.open(proxy.port());
  await prober.exchange(probe);
  prober.close();
  const seen = upstream.connections.map(({ received }, index) => received.slice(before[index] ?? 0));
  return seen.filter((bytes) => !bytes.startsWith("GET /probe ")).join("");
}

describe("a refused head", () => {
  for (const { name, bytes, status, reason } of refusedHeads) {
    test(`is answered ${status} ${reason} and reaches nobody: ${name}`, async () => {
      const reached = await reaching(async () => {
        const client = await RawClient.open(proxy.port());
        const answer = await client.exchange(bytes);
        expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([status, reason]);
        expect(values(answer, "connection")).toEqual(["close"]);
        expect(await client.ended()).toBe("fin");
        expect(client.unread).toBe("");
        client.close();
      });
      expect(reached).toBe("");
    });
  }

  test("is refused the same behind a request that was answered", async () => {
    for (const { name, bytes, reason } of refusedHeads) {
      const client = await RawClient.open(proxy.port());
      client.send(`${probe}${bytes}`);
      expect({ name, status: statusOf(await client.answer()) }).toEqual({ name, status: 200 });
      expect({ name, reason: values(await client.answer(), "x-clearway-reason") }).toEqual({
        name,
        reason: [reason],
      });
      expect(await client.ended()).toBe("fin");
      client.close();
    }
  });

  test("is never followed by another request: what stands behind it is dropped", async () => {
    const reached = await reaching(async () => {
      for (const { bytes } of refusedHeads) {
        const client = await RawClient.open(proxy.port());
        client.send(`${bytes}GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n`);
        expect(statusOf(await client.answer())).toBeGreaterThanOrEqual(400);
        expect(await client.ended()).toBe("fin");
        expect(client.unread).toBe("");
        client.close();
      }
    });
    expect(reached).toBe("");
  });

  test("that stands behind a HEAD gets an answer with its body", async () => {
    const client = await RawClient.open(proxy.port());
    upstream.script = { onRequest: () => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" };
    const plain = await RecordingUpstream.start({
      onRequest: () => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    });
    const own = await RunningProxy.start(gateway({ ports: [plain.port] }));
    const caller = await RawClient.open(own.port());
    caller.send("HEAD / HTTP/1.1\r\nHost: shop.example\r\n\r\nGET /a#");
    await caller.answer("HEAD");
    const refusal = await caller.answer();
    expect(refusal.body).toStartWith("bad-request-line: ");
    upstream.script = { onRequest: () => okAnswer };
    client.close();
    caller.close();
    await own.stop();
    plain.stop();
  });

  test("is logged with its reason, never with its bytes", () => {
    const logged = proxy.log.filter(({ message }) => message.startsWith("refused a request"));
    expect(logged.length).toBeGreaterThan(0);
    for (const { message, fields } of logged) {
      expect(message + JSON.stringify(fields)).not.toMatch(/[^\x20-\x7e]/);
      expect(fields.reason).toBeString();
    }
  });
});

describe("a refused path", () => {
  for (const path of refusedPaths) {
    test(`is answered 400 bad-path, reaches nobody, and the connection goes on: ${path}`, async () => {
      const reached = await reaching(async () => {
        const client = await RawClient.open(proxy.port());
        client.send(`GET ${path} HTTP/1.1\r\nHost: shop.example\r\n\r\n${probe}`);
        const answer = await client.answer();
        expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([400, "bad-path"]);
        expect(statusOf(await client.answer())).toBe(200);
        client.close();
      });
      expect(reached).toBe("");
    });
  }
});

describe("a refused body", () => {
  const head = "POST /upload HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n";

  /** The connection on which the upstream has seen the head, and no end of its request. */
  const uploading = () =>
    upstream.connections.find(({ unread }) => unread.startsWith("POST /upload ")) ?? null;

  async function expectRefusal(client: RawClient, reason: string): Promise<void> {
    const answer = await client.answer();
    expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([400, reason]);
    expect(values(answer, "connection")).toEqual(["close"]);
    expect(await client.ended()).toBe("fin");
    client.close();
  }

  for (const { name, body, reason } of refusedBodies) {
    test(`is answered 400 ${reason}; sent with its head it reaches nobody: ${name}`, async () => {
      const reached = await reaching(async () => {
        const client = await RawClient.open(proxy.port());
        client.send(head + body);
        await expectRefusal(client, reason);
      });
      expect(reached).toBe("");
    });

    test(`is answered 400 ${reason}; sent after its head it never ends at the service: ${name}`, async () => {
      const before = upstream.requests.length;
      const client = await RawClient.open(proxy.port());
      client.send(head);
      const cut = await upstream.until("the head", uploading);
      client.send(body);
      await expectRefusal(client, reason);
      expect(await cut.ended()).toBe("reset");
      expect(upstream.requests.length).toBe(before);
      upstream.connections.splice(upstream.connections.indexOf(cut), 1);
    });
  }

  test("is refused the same when filters run", async () => {
    for (const { name, body, reason } of refusedBodies) {
      const client = await RawClient.open(chained.port());
      const answer = await client.exchange(head + body);
      expect({ name, status: statusOf(answer) }).toEqual({ name, status: 400 });
      expect({ name, reason: values(answer, "x-clearway-reason") }).toEqual({ name, reason: [reason] });
      expect(await client.ended()).toBe("fin");
      client.close();
    }
  });
});
