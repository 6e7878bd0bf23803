import { afterEach, describe, expect, test } from "bun:test";
import mirror from "../../src/filters/mirror.ts";
import { responseFrom } from "../runtime/fetch/messages.ts";
import { type Message, values } from "../runtime/messages.ts";
import { okAnswer, type UpstreamScript } from "../runtime/recording-upstream.ts";
import { RunningProxy } from "../runtime/running-proxy.ts";
import { caller, closeAll, untilEnd, upstreamWith } from "../runtime/setting.ts";
import { eventually } from "../runtime/waiting.ts";
import { SeededRandom } from "../seeded-random.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { upstreamChain } from "./sending/upstream-chain.ts";

afterEach(closeAll);

const ok = () => responseFrom([], { status: 200 });

describe("mirror", () => {
  /** What was called, and its answers by hand. */
  function calls(options: object = {}) {
    const sent: { service: string; request: Request; answer(response: Response): void; fail(): void }[] = [];
    const chain = upstreamChain(
      mirror,
      { to: "next", ...options },
      {
        random: new SeededRandom(1),
        call: (service, request) =>
          new Promise((answer, reject) => {
            sent.push({ service, request, answer, fail: () => reject(new Error("unreachable")) });
          }),
      },
    );
    return { sent, chain };
  }
  const settled = async () => {
    for (let turn = 0; turn < 50; turn++) await null;
  };

  test("copies the share that is asked for, all of them unless one is", async () => {
    for (const [options, least, most] of [
      [{}, 90, 90],
      [{ percent: 0 }, 0, 0],
      [{ percent: 10 }, 3, 17],
    ] as const) {
      const { sent, chain } = calls(options);
      for (let call = 0; call < 90; call++) {
        expect((await chain.run(ok)).response!.status).toBe(200);
      }
      expect(sent.length).toBeGreaterThanOrEqual(least);
      expect(sent.length).toBeLessThanOrEqual(most);
    }
  });

  test("marks the copy by its host", async () => {
    const hostOf = async (options: object) => {
      const { sent, chain } = calls(options);
      await chain.run(ok);
      await settled();
      expect(sent[0]!.service).toBe("next");
      return sent[0]!.request.url;
    };
    expect(await hostOf({})).toBe("http://shop.example-shadow/a/b?c=d");
    expect(await hostOf({ host: "next.example:81" })).toBe("http://next.example:81/a/b?c=d");
  });

  test("holds at most 100 copies of a route, over a reload too, and counts those that it drops", async () => {
    const { sent, chain } = calls();
    for (let call = 0; call < 101; call++) expect((await chain.run(ok)).response!.status).toBe(200);
    await settled();
    expect(sent).toHaveLength(100);
    expect(chain.counted("mirror_dropped orders busy")).toBe(1);
    const { random, clock, memory, call } = chain.parts;
    const next = upstreamChain(mirror, { to: "next" }, { random, clock, memory, call });
    await next.run(ok);
    expect(next.counted("mirror_dropped busy")).toBe(1);
    sent[0]!.answer(new Response("dropped"));
    sent[1]!.fail();
    await settled();
    expect(chain.counted("mirror_sent answered")).toBe(1);
    expect(chain.counted("mirror_sent failed")).toBe(1);
    await next.run(ok);
    await settled();
    expect(sent).toHaveLength(101);
  });

  test("gives a copy up after its own time, whether its answer began or not", async () => {
    for (const begun of [true, false]) {
      const { sent, chain } = calls({ timeout: "2s" });
      await chain.run(ok);
      await settled();
      if (begun) sent[0]!.answer(new Response(new ReadableStream()));
      await settled();
      chain.parts.clock.advance(1999);
      expect(sent[0]!.request.signal.aborted).toBe(false);
      chain.parts.clock.advance(1);
      expect(sent[0]!.request.signal.aborted).toBe(true);
      expect(chain.counted("mirror_sent timeout")).toBe(1);
    }
  });

  test("neither waits for a copy nor fails with it", async () => {
    const { chain } = calls();
    const ended = await chain.run(ok);
    expect([ended.response!.status, ended.elapsedMs]).toEqual([200, 0]);
    const broken = upstreamChain(
      mirror,
      { to: "next" },
      {
        call: () => {
          throw new Error("no such service");
        },
      },
    );
    expect((await broken.run(ok)).response!.status).toBe(200);
    expect(broken.parts.logged).toEqual([]);
  });

  test("reads its options", () => {
    const right = (given: object) => mirror.options.safeParse(given).success;
    expect(right({})).toBe(false);
    expect(right({ to: "next", bodyBytes: "1MiB", timeout: "10m", percent: 100 })).toBe(true);
    for (const wrong of [{ bodyBytes: "2MiB" }, { timeout: "11m" }, { percent: 101 }, { host: "a b" }])
      expect(right({ to: "next", ...wrong })).toBe(false);
  });
});

describe("mirror, on the wire", () => {
  const host = "Host: shop.example\r\n";

  async function mirrored(next: UpstreamScript, { rewrite = "", options = "to: next" } = {}) {
    const [shop, copies] = [await upstreamWith({ onRequest: () => okAnswer }), await upstreamWith(next)];
    const clock = new VirtualClock();
    const proxy = untilEnd(
      await RunningProxy.start(
        `
listeners:
  web:
    bind: 127.0.0.1:0
    routes:
      - match: { path: /* }
        to: shop
        ${rewrite}
        filters:
          - mirror: { ${options} }
          - retry
services:
  shop: { endpoints: ["127.0.0.1:${shop.port}"] }
  next: { endpoints: ["127.0.0.1:${copies.port}"] }
`,
        { clock },
      ),
    );
    return { shop, copies, clock, proxy, client: await caller(proxy) };
  }
  const fieldsOf = ({ fields }: Message) =>
    fields
      .filter(([name]) => name.toLowerCase() !== "host")
      .map(([name, value]) => `${name.toLowerCase()}: ${value}`);

  test("the copy is what the service gets, but for its host", async () => {
    const rewrite = "rewrite: { path: /new/* }";
    const { shop, copies, client } = await mirrored({ onRequest: () => okAnswer }, { rewrite });
    const fields = `${host}X-Kept: yes\r\nX-Forwarded-For: 1.2.3.4\r\nX-Clearway-Reason: no\r\nConnection: X-Hop\r\nX-Hop: 1\r\n`;
    const answer = await client.exchange(`PUT /a?b=c HTTP/1.1\r\n${fields}Content-Length: 5\r\n\r\nhello`);
    expect(answer.body).toBe("ok");
    const [original, copy] = [await shop.request(), await copies.request()];
    expect(copy.start).toBe("PUT /new/a?b=c HTTP/1.1");
    expect([copy.start, copy.body]).toEqual([original.start, "hello"]);
    expect(fieldsOf(copy).toSorted()).toEqual(fieldsOf(original).toSorted());
    expect([values(original, "host"), values(copy, "host")]).toEqual([
      ["shop.example"],
      ["shop.example-shadow"],
    ]);
  });

  test("a copy that is never answered holds nobody up, and is given up", async () => {
    const { copies, client, clock, proxy } = await mirrored(
      { onRequest: () => null },
      { options: "to: next, timeout: 1s" },
    );
    for (let request = 0; request < 3; request++) {
      expect((await client.exchange(`GET / HTTP/1.1\r\n${host}\r\n`)).body).toBe("ok");
    }
    await copies.request(2);
    expect(proxy.runtime.report().services.find(({ name }) => name === "next")).toBeDefined();
    clock.advance(1000);
    await eventually("the end of their connections", () =>
      copies.connections.every(({ peer }) => peer !== "open"),
    );
    expect(proxy.counted.filter(({ result }) => result === "timeout")).toHaveLength(3);
  });

  test("a copy goes on when its caller has the answer, and one that breaks off is nobody's matter", async () => {
    let broken = 0;
    const { copies, client, proxy } = await mirrored({
      onRequest(_, connection) {
        if (++broken > 1) connection.close();
        return null;
      },
    });
    expect((await client.exchange(`GET / HTTP/1.1\r\n${host}\r\n`)).body).toBe("ok");
    client.close();
    await copies.request();
    copies.connections[0]!.send(okAnswer);
    await eventually("the answer", () => proxy.counted.some(({ result }) => result === "answered"));
    const other = await caller(proxy);
    expect((await other.exchange(`GET / HTTP/1.1\r\n${host}\r\n`)).body).toBe("ok");
    await eventually("the failure", () => proxy.counted.some(({ result }) => result === "failed"));
  });

  test("a body that is too large, or of unknown length, is sent and not copied", async () => {
    const { shop, copies, client, proxy } = await mirrored(
      { onRequest: () => okAnswer },
      { options: "to: next, bodyBytes: 4B" },
    );
    const bodies = [
      "Content-Length: 5\r\n\r\nhello",
      "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ];
    for (const body of bodies) {
      expect((await client.exchange(`PUT / HTTP/1.1\r\n${host}${body}`)).body).toBe("ok");
    }
    expect((await client.exchange(`PUT / HTTP/1.1\r\n${host}Content-Length: 4\r\n\r\nfour`)).body).toBe("ok");
    expect((await copies.request()).body).toBe("four");
    expect(shop.requests.map(({ body }) => body)).toEqual(["hello", "hi", "four"]);
    expect(proxy.counted.filter(({ why }) => why === "body")).toHaveLength(2);
  });
});
