/** Our own listener in front of an app: TLS with live certificates, who its callers proved to be, answers without end. */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/host/clock/node.ts";
import type { App } from "../../src/runtime/app-listener.ts";
import { until } from "../program.ts";
import { RawClient } from "./raw-client.ts";
import { asking, entry, serving, tell } from "./serving-app.ts";
import { closeAll } from "./setting.ts";
import { authority, clientAuthority, rogueAuthority, shop, shown } from "./tls/secured.ts";
import { asked, TlsCaller } from "./tls/tls-caller.ts";
import { eventually } from "./waiting.ts";

afterEach(closeAll);

const good = await clientAuthority.issue({ uris: ["spiffe://store.example/payments"] });
const rogue = await rogueAuthority.issue({ uris: ["spiffe://store.example/payments"] });
const get = "GET /who?a=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n";

async function said(client: RawClient): Promise<unknown> {
  return JSON.parse((await client.exchange(get)).body);
}

describe("an app's listener", () => {
  test("serves HTTPS, and tells the app the url and who asks", async () => {
    const { port } = await serving(tell, { tls: entry(shop, asking) });
    const url = "https://shop.example/who?a=1";
    const proved = await TlsCaller.open(port, shown(good));
    expect(await said(proved)).toEqual([url, "spiffe://store.example/payments", "coordinator"]);
    const nobody = await TlsCaller.open(port, {});
    expect(await said(nobody)).toEqual([url, null, "coordinator"]);
  });

  test("serves plain HTTP without certificates, to nobody in particular", async () => {
    const { listener, port } = await serving(tell, {});
    const client = await RawClient.open(port);
    expect(await said(client)).toEqual(["http://shop.example/who?a=1", null, "coordinator"]);
    client.close();
    expect(() => listener.renew(entry(shop))).toThrow("coordinator speaks plain HTTP: it has no certificate");
  });

  test("refuses who is not believed, and who shows nothing where that is required", async () => {
    const optional = await serving(tell, { tls: entry(shop, asking) });
    expect(await asked(optional.port, shown(rogue))).toBeNull();
    const required = await serving(tell, { tls: entry(shop, { ...asking, clientAuth: "required" }) });
    expect(await asked(required.port, {})).toBeNull();
    expect(await asked(required.port, shown(rogue))).toBeNull();
    expect(await asked(required.port, shown(good))).toBe(200);
    expect(required.log[0]!.message).toStartWith("no TLS connection with a caller: ");
    expect(required.log[0]!.fields.listener).toBe("coordinator");
  });

  test("swaps its certificate under open connections, which go on", async () => {
    const { listener, port } = await serving(tell, { tls: entry(shop) });
    const before = await TlsCaller.open(port);
    expect(await said(before)).toContain("coordinator");
    const other = await authority.issue({ names: ["other.example"] });
    listener.renew(entry(other));
    const after = await TlsCaller.open(port);
    expect([before.shown, after.shown]).toEqual([
      "DNS:shop.example, IP Address:127.0.0.1",
      "DNS:other.example",
    ]);
    expect(await said(before)).toContain("coordinator");
    expect(await said(after)).toContain("coordinator");
  });

  test("keeps the old certificate when the new one cannot be used", async () => {
    const { listener, port } = await serving(tell, { tls: entry(shop) });
    expect(() => listener.renew(entry({ certificate: shop.certificate, key: good.key }))).toThrow();
    expect((await TlsCaller.open(port)).shown).toContain("shop.example");
  });

  test("serves a caller of former authorities to the end of one more answer", async () => {
    const { listener, port } = await serving(tell, { tls: entry(shop, asking) });
    const client = await TlsCaller.open(port, shown(good));
    expect(await said(client)).toContain("spiffe://store.example/payments");
    listener.renew(entry(shop, { ...asking, clientCa: rogueAuthority.certificate }));
    expect(await said(client)).toContain("spiffe://store.example/payments");
    await client.ended();
    expect(await asked(port, shown(good))).toBeNull();
    expect(await asked(port, shown(rogue))).toBe(200);
  });

  test("of a mesh takes certificates of its services alone, and nobody's further request after the end of one", async () => {
    let laterMs = 0;
    const clock = { ...systemClock, epochMs: () => Date.now() + laterMs };
    const tls = entry(shop, { ...asking, trustDomain: "store.example" });
    const { port } = await serving(tell, { tls, clock });
    const client = await TlsCaller.open(port, shown(good));
    expect(await said(client)).toContain("spiffe://store.example/payments");
    expect(await asked(port, {})).toBe(200);
    for (const uris of [
      ["spiffe://other.example/a"],
      [],
      ["spiffe://store.example/a", "spiffe://store.example/b"],
    ]) {
      expect(await asked(port, shown(await clientAuthority.issue({ uris })))).toBeNull();
    }
    laterMs = 60 * 86_400_000;
    const answer = await client.exchange(get);
    expect(answer.body).toBe("identity-refused: its certificate has expired\n");
    await client.ended();
  });

  test("gives a handshake its time, and refuses connections beyond its limit", async () => {
    const limits = { handshakeTimeoutMs: 100, connections: 2 };
    const { port, log } = await serving(tell, { tls: entry(shop), limits });
    const silent = await RawClient.open(port);
    silent.send("\x16\x03\x01");
    await silent.ended();
    expect(log.map(({ message }) => message)).toEqual([
      "no TLS connection with a caller: its handshake took longer than 0.1 s",
    ]);
    const open = [await TlsCaller.open(port), await TlsCaller.open(port)];
    expect(await asked(port)).toBeNull();
    open[0]!.close();
    await until(
      () => asked(port),
      (status) => status === 200,
    );
  });

  test("tells a caller that speaks plain HTTP what this port speaks", async () => {
    const { port } = await serving(tell, { tls: entry(shop) });
    const client = await RawClient.open(port);
    expect((await client.exchange(get)).body).toStartWith("tls-required: ");
    client.close();
  });
});

/** An answer that does not end, as a feed is; `given`: chunks that were asked for. */
function endless(bytes: number) {
  const state = { given: 0, cancelled: 0 };
  const app: App = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        async pull(controller) {
          await new Promise((resolve) => setImmediate(resolve));
          state.given++;
          controller.enqueue(new Uint8Array(bytes).fill(120));
        },
        cancel() {
          state.cancelled++;
        },
      }),
    );
  return { state, app };
}

describe("an answer that does not end", () => {
  test("comes as it is made, is held back while nobody reads, and is cancelled when its caller leaves", async () => {
    const { state, app } = endless(64 * 1024);
    const { port } = await serving(app, { tls: entry(shop, asking) });
    const client = await TlsCaller.open(port, shown(good));
    client.send(get);
    await client.until("the first bytes", () => (client.received.length > 100_000 ? true : null));
    client.tls.pause();
    let [before, still] = [-1, 0];
    // What the system holds for the two sockets is some megabytes.
    await eventually("the stream to be held back", () => {
      still = before === state.given ? still + 1 : 0;
      before = state.given;
      return still > 20;
    });
    expect(state.given).toBeLessThan(1000);
    expect(state.cancelled).toBe(0);
    client.close();
    await eventually("the stream to be cancelled", () => state.cancelled === 1);
  });

  test("is cancelled when the listener's time to drain is over", async () => {
    const { state, app } = endless(10);
    const { listener, port } = await serving(app, {});
    const client = await RawClient.open(port);
    client.send(get);
    await client.until("the first bytes", () => (client.received.includes("xxx") ? true : null));
    await listener.drain(10);
    expect(state.cancelled).toBe(1);
    client.close();
  });
});
