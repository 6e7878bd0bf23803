/** What services and filters get to know of a request that came over TLS. */
import { afterEach, expect, test } from "bun:test";
import { values } from "../messages.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { clientAuthority, files, https, provedEntry, shopEntry, shown } from "./secured.ts";
import { get, TlsCaller } from "./tls-caller.ts";

afterEach(closeAll);

test("a request over TLS is https to services, with and without filters", async () => {
  const upstream = await upstreamWith();
  const filter = "    filters: [{ headers: { request: { set: { x-seen: yes } } } }]";
  for (const more of ["", filter]) {
    const proxy = await proxyTo({ ports: [upstream.port], listener: https([shopEntry], more) }, { files });
    await (await TlsCaller.open(proxy.port())).exchange(get);
    const request = upstream.requests.at(-1)!;
    expect(values(request, "x-forwarded-proto")).toEqual(["https"]);
    expect(values(request, "forwarded").join()).toContain("proto=https");
  }
});

test("a request over TLS gets cookies that are Secure", async () => {
  const upstream = await upstreamWith();
  const loadBalancing = '{ ring-hash: { key: "cookie:session" } }';
  for (const [listener, secure] of [
    [https([shopEntry]), true],
    ["", false],
  ] as const) {
    const proxy = await proxyTo({ ports: [upstream.port], listener, loadBalancing }, { files });
    const client = secure ? await TlsCaller.open(proxy.port()) : await caller(proxy);
    const cookie = values(await client.exchange(get), "set-cookie").join();
    expect([cookie.startsWith("session="), cookie.includes("; Secure")]).toEqual([true, secure]);
  }
});

test("requests over TLS are balanced by the identity that was proved", async () => {
  const upstreams = [await upstreamWith(), await upstreamWith()];
  const ports = upstreams.map(({ port }) => port);
  const loadBalancing = "{ ring-hash: { key: identity } }";
  const proxy = await proxyTo({ ports, listener: https([provedEntry]), loadBalancing }, { files });
  const reached = new Set<string>();
  for (let each = 0; each < 16; each++) {
    const pair = await clientAuthority.issue({ uris: [`spiffe://store.example/${each}`] });
    const before = upstreams.map(({ requests }) => requests.length);
    for (let count = 0; count < 4; count++) {
      const client = await TlsCaller.open(proxy.port(), shown(pair));
      await client.exchange(get);
      client.close();
    }
    const got = upstreams.map(({ requests }, index) => requests.length - before[index]!);
    expect(got.toSorted()).toEqual([0, 4]);
    reached.add(got.join());
  }
  expect(reached.size).toBe(2);
});
