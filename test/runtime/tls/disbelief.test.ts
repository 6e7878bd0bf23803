/** Another node's listener that does not believe this node says so by an answer, where OpenSSL sends an alert. */
import { afterEach, describe, expect, test } from "bun:test";
import { filters } from "../../../src/filters/index.ts";
import { statusOf, values } from "../messages.ts";
import { okAnswer, type RecordingUpstream, type UpstreamScript } from "../recording-upstream.ts";
import type { RunningProxy } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { files, shop, shown } from "./secured.ts";

afterEach(closeAll);

const ok: UpstreamScript = { onRequest: () => okAnswer };
const believing = "    tls: { ca: servers.pem, serverName: shop.example }";
const words =
  "certificate-not-believed: this listener does not believe the client certificate that it was shown\n";
const disbelief =
  "HTTP/1.1 403 Forbidden\r\nx-clearway-reason: certificate-not-believed\r\n" +
  `content-length: ${words.length}\r\nconnection: close\r\n\r\n${words}`;
const disbelieving: UpstreamScript = { onConnect: (connection) => connection.send(disbelief) };

const retry = { route: "        filters: [retry]" };
const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const post = "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\nhello";

async function between(upstreams: readonly RecordingUpstream[], more: { route?: string } = {}) {
  const ports = upstreams.map(({ port }) => port);
  return proxyTo({ ports, service: believing, ...more }, { files, filters });
}

/** Status and reason of one request after the other. */
async function told(proxy: RunningProxy, requests: readonly string[]): Promise<unknown[][]> {
  const client = await caller(proxy);
  const all: unknown[][] = [];
  for (const request of requests) {
    const answer = await client.exchange(request);
    all.push([statusOf(answer), ...values(answer, "x-clearway-reason")]);
  }
  return all;
}

describe("a node that does not believe this one", () => {
  test("is passed over for another endpoint, without a filter and for a POST that one holds", async () => {
    const wrong = await upstreamWith(disbelieving, shown(shop));
    const right = await upstreamWith(ok, shown(shop));
    expect(await told(await between([wrong, right]), [get, get, get, get])).toEqual(Array(4).fill([200]));
    const tries = wrong.connections.length;
    expect(tries).toBeGreaterThan(0);
    expect(await told(await between([wrong, right], retry), [post, post, post, post])).toEqual(
      Array(4).fill([200]),
    );
    expect(wrong.connections.length).toBeGreaterThan(tries);
    // Each POST reached the service once.
    expect(right.requests.filter(({ start }) => start.startsWith("POST")).length).toBe(4);
  });

  test("makes a POST whose body nobody holds fail as one that was not begun", async () => {
    const wrong = await upstreamWith(disbelieving, shown(shop));
    const proxy = await between([wrong]);
    expect(await told(proxy, [post])).toEqual([[503, "no-healthy-endpoint"]]);
    expect(proxy.log[0]!.message).toContain("the other side does not believe the certificate it was shown");
  });

  test("is not what a service without TLS says, nor one that answered before", async () => {
    const plain = await upstreamWith({ onRequest: () => disbelief });
    const direct = await proxyTo({ ports: [plain.port] });
    expect((await told(direct, [get]))[0]![0]).toBe(403);
    const answers = [okAnswer, disbelief];
    const later = await upstreamWith({ onRequest: () => answers.shift() ?? okAnswer }, shown(shop));
    expect((await told(await between([later]), [get, get])).map(([status]) => status)).toEqual([200, 403]);
    expect(later.connections).toHaveLength(1);
  });
});
