/** A listener of a mesh: who comes in, as whom, and that nobody else ever does. */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../../src/host/clock/node.ts";
import type { Snapshot } from "../../../src/snapshot.ts";
import type { Pair } from "../../certificates.ts";
import { statusOf, values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import { okAnswer, type UpstreamScript } from "../recording-upstream.ts";
import { closeAll, proxyTo, untilEnd, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";
import { identityOf, memberOf, meshNode, rogues } from "./meshed.ts";
import { shown } from "./secured.ts";
import { asked, get, TlsCaller } from "./tls-caller.ts";

afterEach(closeAll);

const ok: UpstreamScript = { onRequest: () => okAnswer };
const storefront = await memberOf("storefront");
const wrong = await rogues("storefront");
const versions = ["TLSv1.2", "TLSv1.3"] as const;
const exactly = (version: (typeof versions)[number]) => ({ minVersion: version, maxVersion: version });
const tries = 100;
const together = 10;

/** What every one of so many callers was answered; null when nothing. */
async function askedOften(
  port: number,
  pair: Pair | null,
  version: (typeof versions)[number],
): Promise<(number | null)[]> {
  const options = { ...exactly(version), ...(pair === null ? {} : shown(pair)) };
  const answers: (number | null)[] = [];
  while (answers.length < tries) {
    const some = Array.from({ length: together }, () => asked(port, options));
    answers.push(...(await Promise.all(some)));
  }
  return answers;
}

async function plainCaller(port: number): Promise<RawClient> {
  const client = await RawClient.open(port);
  untilEnd({ stop: () => client.close() });
  return client;
}

describe("a listener for callers of the mesh", () => {
  for (const version of versions) {
    for (const [what, pair, words] of [
      ...wrong,
      ["no certificate", null, "showed no certificate"] as const,
    ]) {
      test(`refuses ${what} ${tries} times of ${tries}, ${version}`, async () => {
        const upstream = await upstreamWith(ok);
        const { proxy } = await meshNode([upstream.port]);
        const answers = await askedOften(proxy.port(), pair, version);
        expect(answers).toEqual(Array.from({ length: tries }, () => null));
        expect(upstream.requests).toEqual([]);
        expect(proxy.measured).toEqual([]);
        await eventually("all connections to be gone", () => proxy.open.downstream === 0);
        expect(proxy.log[0]!.message).toStartWith("no TLS connection with a caller: ");
        expect(proxy.log[0]!.message).toContain(words);
        // Said at most once a second, and counted each time.
        expect(proxy.log.length).toBeLessThan(tries / 2);
        const name = "clearway_tls_handshake_failures_total";
        expect(proxy.counted.filter((each) => each.name === name)).toHaveLength(tries);
      });
    }

    test(`takes a right certificate ${tries} times of ${tries}, ${version}`, async () => {
      const upstream = await upstreamWith(ok);
      const { proxy } = await meshNode([upstream.port]);
      const answers = await askedOften(proxy.port(), storefront, version);
      expect(answers).toEqual(Array.from({ length: tries }, () => 200));
    });

    test(`lets no session that is resumed get around a removal, ${version}`, async () => {
      const upstream = await upstreamWith(ok);
      const { proxy, apply } = await meshNode([upstream.port]);
      const options = { ...exactly(version), ...shown(storefront) };
      const first = await TlsCaller.open(proxy.port(), options);
      expect(statusOf(await first.exchange(get))).toBe(200);
      const session = await first.until("a session", () => first.sessions.at(-1) ?? null);
      first.close();
      const resumed = await TlsCaller.open(proxy.port(), { ...options, session });
      expect(statusOf(await resumed.exchange(get))).toBe(200);
      expect(resumed.tls.isSessionReused()).toBe(true);
      await apply({ removed: [identityOf("storefront")] });
      expect(await asked(proxy.port(), { ...options, session })).toBeNull();
      expect(await asked(proxy.port(), options)).toBeNull();
      expect(proxy.log.at(-1)!.message).toContain("its service was removed from the mesh");
    });
  }

  test("tells a caller with plain HTTP what this port wants", async () => {
    const upstream = await upstreamWith(ok);
    const { proxy } = await meshNode([upstream.port]);
    const client = await plainCaller(proxy.port());
    const answer = await client.exchange(get);
    expect([statusOf(answer), values(answer, "x-clearway-reason")]).toEqual([400, ["mtls-required"]]);
    expect(answer.body).toStartWith("mtls-required: this port takes only services of the mesh, by mTLS");
    expect(upstream.requests).toEqual([]);
  });

  test("refuses the next request of a service that was removed, and closes", async () => {
    const upstream = await upstreamWith(ok);
    const { proxy, apply } = await meshNode([upstream.port]);
    const removed = await TlsCaller.open(proxy.port(), shown(storefront));
    const other = await TlsCaller.open(proxy.port(), shown(await memberOf("orders")));
    for (const client of [removed, other]) expect(statusOf(await client.exchange(get))).toBe(200);
    await apply({ removed: [identityOf("storefront")] });
    const answer = await removed.exchange(get);
    expect([statusOf(answer), values(answer, "x-clearway-reason")]).toEqual([403, ["identity-refused"]]);
    expect(answer.body).toBe(
      `identity-refused: its service was removed from the mesh: "${identityOf("storefront")}"\n`,
    );
    await removed.ended();
    expect(statusOf(await other.exchange(get))).toBe(200);
    expect(upstream.requests).toHaveLength(3);
    expect(proxy.measured.at(-2)).toMatchObject({ route: "", status: 403, reason: "identity-refused" });
    await apply({ removed: [] });
    expect(await asked(proxy.port(), shown(storefront))).toBe(200);
  });

  test("serves no further request once the certificate of a connection has ended", async () => {
    let laterMs = 0;
    const clock = { ...systemClock, epochMs: () => Date.now() + laterMs };
    const upstream = await upstreamWith(ok);
    const { proxy } = await meshNode([upstream.port], { clock });
    const brief = await memberOf("storefront", { endsDays: 1 });
    const client = await TlsCaller.open(proxy.port(), shown(brief));
    expect(statusOf(await client.exchange(get))).toBe(200);
    laterMs = 25 * 3_600_000;
    const answer = await client.exchange(get);
    expect([statusOf(answer), answer.body]).toEqual([403, "identity-refused: its certificate has expired\n"]);
    await client.ended();
    expect(await asked(proxy.port(), shown(brief))).toBeNull();
    expect(await asked(proxy.port(), shown(storefront))).toBe(200);
    expect(upstream.requests).toHaveLength(2);
  });

  test("judges open connections anew when it becomes strict, or is for the mesh from now on", async () => {
    const upstream = await upstreamWith(ok);
    const { proxy, apply } = await meshNode([upstream.port], { callers: "anyone" });
    const stranger = await TlsCaller.open(proxy.port(), shown(await memberOf("a", { uris: [] })));
    expect(statusOf(await stranger.exchange(get))).toBe(200);
    await apply({ callers: "mesh-or-plain" });
    const plain = await plainCaller(proxy.port());
    expect(statusOf(await plain.exchange(get))).toBe(200);
    expect(statusOf(await stranger.exchange(get))).toBe(403);
    await apply({ callers: "mesh" });
    const answer = await plain.exchange(get);
    expect([statusOf(answer), values(answer, "x-clearway-reason")]).toEqual([400, ["mtls-required"]]);
    await plain.ended();
  });
});

describe("a listener for callers of the mesh, and plain ones", () => {
  test("serves both, and each as who it is", async () => {
    const upstream = await upstreamWith(ok);
    const { proxy } = await meshNode([upstream.port], { callers: "mesh-or-plain" });
    const plain = await plainCaller(proxy.port());
    for (let count = 0; count < 3; count++) expect(statusOf(await plain.exchange(get))).toBe(200);
    expect(await asked(proxy.port(), shown(storefront))).toBe(200);
    const protocols = upstream.requests.map((request) => values(request, "x-forwarded-proto").join());
    expect(protocols).toEqual(["http", "http", "http", "https"]);
  });

  test("reads a plain request that comes byte by byte, and a large body both ways", async () => {
    const body = "x".repeat(300_000);
    const upstream = await upstreamWith({
      onRequest: ({ body: came }) => `HTTP/1.1 200 OK\r\nContent-Length: ${came.length}\r\n\r\n${came}`,
    });
    const { proxy } = await meshNode([upstream.port], { callers: "mesh-or-plain" });
    const client = await plainCaller(proxy.port());
    for (const byte of get) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(statusOf(await client.answer())).toBe(200);
    const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    expect((await client.exchange(post)).body).toBe(body);
  });

  test("asks those that speak TLS for as much as a strict one", async () => {
    const upstream = await upstreamWith(ok);
    const { proxy } = await meshNode([upstream.port], { callers: "mesh-or-plain" });
    for (const [, pair] of wrong) expect(await asked(proxy.port(), shown(pair))).toBeNull();
    expect(await asked(proxy.port(), {})).toBeNull();
    expect(upstream.requests).toEqual([]);
  });

  test("drains and ends its plain connections as any", async () => {
    const upstream = await upstreamWith(ok);
    const { proxy } = await meshNode([upstream.port], { callers: "mesh-or-plain" });
    const client = await plainCaller(proxy.port());
    expect(statusOf(await client.exchange(get))).toBe(200);
    await eventually("one open connection", () => proxy.open.downstream === 1);
    await proxy.runtime.drain(10);
    await client.ended();
    expect(proxy.open.downstream).toBe(0);
  });
});

test("a listener for callers of the mesh needs a mesh, and TLS", async () => {
  const { port } = await upstreamWith(ok);
  const words = "a listener for callers of the mesh needs a mesh, and https";
  const change = (snapshot: Snapshot): Snapshot => ({
    ...snapshot,
    listeners: snapshot.listeners.map((each) => ({ ...each, callers: "mesh" })),
  });
  const mesh = { trustDomain: "store.example", identity: identityOf("payments"), removed: [] };
  await expect(proxyTo({ ports: [port] }, { change })).rejects.toThrow(words);
  const inMesh = (snapshot: Snapshot) => change({ ...snapshot, mesh });
  await expect(proxyTo({ ports: [port] }, { change: inMesh })).rejects.toThrow(words);
});
