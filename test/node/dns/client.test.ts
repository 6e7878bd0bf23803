import { afterEach, expect, test } from "bun:test";
import { createServer } from "node:net";
import type { Answer } from "../../../src/node/dns/answer.ts";
import { DnsClient } from "../../../src/node/dns/client.ts";
import type { Question } from "../../../src/node/dns/message.ts";
import { SystemFiles } from "../../../src/node/dns/system-files.ts";
import { eventually } from "../../runtime/waiting.ts";
import { DnsServer, type Manner } from "./dns-server.ts";
import { filesOf, hostParts } from "./resolving.ts";

const question: Question = { name: "orders.test", type: "A" };
/** For what must come: it comes at once. */
const patientMs = 10_000;
/** For what never comes. */
const shortMs = 30;

const running: DnsServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
});

async function server(manner: Manner = "answer"): Promise<DnsServer> {
  const one = await DnsServer.start();
  running.push(one);
  one.manner = manner;
  one.addresses("orders.test", ["10.0.0.1"], 7);
  return one;
}

function ask(servers: readonly Pick<DnsServer, "server">[], timeoutMs = patientMs): Promise<Answer> {
  const system = new SystemFiles(filesOf({ hosts: "", resolver: "" }), hostParts.clock);
  return new DnsClient(hostParts, system).ask(question, {
    servers: servers.map((one) => one.server),
    timeoutMs,
  });
}

const good = { kind: "records", ttlSeconds: 7, records: [{ address: "10.0.0.1" }] };

test("DnsClient asks the first server, by UDP", async () => {
  const [first, second] = [await server(), await server()];
  expect(await ask([first, second])).toMatchObject(good);
  expect([first.asked, second.asked]).toEqual([[{ name: "orders.test", type: "A", over: "udp" }], []]);
});

test("DnsClient asks by TCP for what does not fit", async () => {
  const truncating = await server("truncate");
  expect(await ask([truncating])).toMatchObject(good);
  expect(truncating.asked.map(({ over }) => over)).toEqual(["udp", "tcp"]);
});

test("DnsClient takes a thousand addresses by TCP", async () => {
  const one = await server();
  one.addresses(
    "orders.test",
    Array.from({ length: 1000 }, (_, at) => `10.1.${at >> 8}.${at & 255}`),
  );
  const answer = await ask([one]);
  expect(answer.kind === "records" && answer.records.length).toBe(1000);
});

for (const manner of ["servfail", "refused"] as const) {
  test(`DnsClient goes on to the next server after ${manner}`, async () => {
    const [first, second] = [await server(manner), await server()];
    expect(await ask([first, second])).toMatchObject(good);
    expect(first.asked.length).toBe(1);
  });
}

for (const manner of ["hang", "wrong-id", "other-question", "garbage"] as const) {
  test(`DnsClient waits for the right answer, then goes on to the next server: ${manner}`, async () => {
    const first = await server(manner);
    expect(await ask([first], shortMs)).toMatchObject({
      kind: "failed",
      why: expect.stringContaining("did not answer"),
    });
    // Each server is asked twice.
    await eventually("the second question", () => first.asked.length === 2);
    const second = await server();
    expect(await ask([first, second], 500)).toMatchObject(good);
  });
}

test("DnsClient says of each server why it has no answer", async () => {
  const gone = await server();
  const { port } = gone;
  await gone.stop();
  running.pop();
  const failing = await server("servfail");
  const answer = await ask([{ server: { host: "127.0.0.1", port } }, failing]);
  expect(answer).toEqual({
    kind: "failed",
    why: `127.0.0.1:${port} refused the connection: nobody listens there; 127.0.0.1:${failing.port} answered SERVFAIL`,
  });
});

test("DnsClient takes a missing name for an answer and asks nobody else", async () => {
  const [first, second] = [await server(), await server()];
  first.remove("orders.test");
  expect(await ask([first, second])).toEqual({
    kind: "nothing",
    why: "there is no such name (NXDOMAIN)",
    ttlSeconds: 30,
  });
  expect(second.asked).toEqual([]);
});

test("DnsClient gives up on a TCP connection that says nothing, or ends", async () => {
  for (const [silent, why] of [
    ["yes", "did not answer in 100 ms over TCP"],
    ["no", "closed the connection over TCP"],
  ] as const) {
    const { udpOnly, stop } = await udpWithOwnTcp(silent);
    expect(await ask([udpOnly], 100)).toMatchObject({ kind: "failed", why: expect.stringContaining(why) });
    await stop();
  }
});

/** A server that truncates everything, whose TCP port is somebody else's. */
async function udpWithOwnTcp(silent: "yes" | "no") {
  const udpOnly = await server("truncate");
  await udpOnly.stopTcp();
  const tcp = createServer((socket) => {
    socket.resume();
    if (silent === "no") socket.end();
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => tcp.listen(udpOnly.port, "127.0.0.1", resolve));
  return { udpOnly, stop: () => new Promise((resolve) => tcp.close(resolve)) };
}
