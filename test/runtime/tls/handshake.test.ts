/** Handshakes with callers: what is agreed on, whose certificate is shown, what is refused, and by when. */
import { afterEach, describe, expect, test } from "bun:test";
import { setTimeout } from "node:timers/promises";
import { host } from "../../../src/host/index.ts";
import { Authority } from "../../certificates.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { statusOf, values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import { okAnswer } from "../recording-upstream.ts";
import type { GatewayText, ProxyOptions, RunningProxy } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";
import { WatchedSockets } from "../watched-sockets.ts";
import { realHellos } from "./hellos.ts";
import { hello, inRecords, nameExtension } from "./made-hellos.ts";
import { authority, files, https, shopEntry } from "./secured.ts";
import { asked, get, refusal, TlsCaller } from "./tls-caller.ts";

afterEach(closeAll);

const trusting = { ca: authority.certificate, rejectUnauthorized: true, servername: "shop.example" };

async function secured(text: Partial<GatewayText> = {}, options: ProxyOptions = {}): Promise<RunningProxy> {
  const upstream = await upstreamWith();
  return proxyTo({ ports: [upstream.port], listener: https([shopEntry]), ...text }, { files, ...options });
}

describe("a listener with TLS", () => {
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    test(`speaks ${version}, and answers one request after the other`, async () => {
      const proxy = await secured();
      const client = await TlsCaller.open(proxy.port(), {
        ...trusting,
        minVersion: version,
        maxVersion: version,
      });
      expect([client.tls.authorized, client.tls.getProtocol()]).toEqual([true, version]);
      for (let count = 0; count < 3; count++) expect(statusOf(await client.exchange(get))).toBe(200);
      expect(proxy.log).toEqual([]);
    });
  }

  test("refuses TLS 1.1, and 1.2 where the config says so, with an alert", async () => {
    const proxy = await secured();
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1" } as const;
    // OpenSSL, on Node, does not even begin.
    expect(await refusal(proxy.port(), old)).toMatch(/ALERT_PROTOCOL_VERSION|NO_PROTOCOLS_AVAILABLE/);
    const strict = await secured({
      listener: https(["{ certificate: shop.pem, key: shop.key, minVersion: 1.3 }"]),
    });
    expect(await refusal(strict.port(), { maxVersion: "TLSv1.2" })).toBe(
      "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    );
    expect(await asked(strict.port())).toBe(200);
    expect(strict.log[0]!.message).toBe(
      "no TLS connection with a caller: the two sides share no TLS version",
    );
  });

  test("agrees to ciphers with forward secrecy and authenticated encryption alone", async () => {
    const proxy = await secured();
    const only = (ciphers: string) => ({ maxVersion: "TLSv1.2", ciphers }) as const;
    for (const name of ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"]) {
      const client = await TlsCaller.open(proxy.port(), only(name));
      expect(client.tls.getCipher().name).toBe(name);
    }
    for (const name of ["ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "AES128-SHA"]) {
      expect(await refusal(proxy.port(), only(name))).toEndWith("ALERT_HANDSHAKE_FAILURE");
    }
    expect(proxy.log[0]!.message).toBe("no TLS connection with a caller: the two sides share no cipher");
  });

  test("chooses HTTP/1.1 by ALPN, refuses who offers only others, and asks nobody to offer", async () => {
    const proxy = await secured();
    const both = await TlsCaller.open(proxy.port(), { ALPNProtocols: ["h2", "http/1.1"] });
    expect(both.tls.alpnProtocol).toBe("http/1.1");
    const none = await TlsCaller.open(proxy.port());
    expect(none.tls.alpnProtocol).toBe(false);
    expect(statusOf(await none.exchange(get))).toBe(200);
    expect(await refusal(proxy.port(), { ALPNProtocols: ["h2"] })).toBe(
      "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
    );
    expect(proxy.log[0]!.message).toBe(
      "no TLS connection with a caller: the two sides share no protocol (ALPN)",
    );
  });
});

describe("the certificate that is shown", () => {
  async function byName() {
    const other = await authority.issue({ names: ["other.example", "*.other.example"] });
    const deep = await authority.issue({ names: ["deep.a.other.example"] });
    const named = {
      ...files,
      "other.pem": other.certificate,
      "other.key": other.key,
      "deep.pem": deep.certificate,
      "deep.key": deep.key,
    };
    const entries = ["other", "deep"].map((name) => `{ certificate: ${name}.pem, key: ${name}.key }`);
    return secured({ listener: https([shopEntry, ...entries]) }, { files: named });
  }

  test("is that of the name that the caller says, a wildcard's for one label, else the first", async () => {
    const proxy = await byName();
    for (const [servername, wanted] of [
      ["shop.example", "DNS:shop.example"],
      ["other.example", "DNS:other.example"],
      ["OTHER.Example", "DNS:other.example"],
      ["a.other.example", "DNS:other.example"],
      ["deep.a.other.example", "DNS:deep.a.other.example"],
      ["shallow.a.other.example", "DNS:shop.example"],
      ["unknown.example", "DNS:shop.example"],
      ["", "DNS:shop.example"],
    ] as const) {
      const client = await TlsCaller.open(proxy.port(), { servername });
      expect([servername, client.shown.split(",")[0]!]).toEqual([servername, wanted]);
      client.close();
    }
  });

  test("comes with what leads to its root, of RSA and of elliptic curves", async () => {
    const between = await authority.authority("CN=between");
    const chained = await between.issue({ names: ["shop.example"] });
    const rsa = await (await Authority.make("CN=rsa", "rsa")).issue({ names: ["shop.example"] });
    const proxy = await secured(
      {},
      {
        files: { ...files, "shop.pem": chained.certificate + between.certificate, "shop.key": chained.key },
      },
    );
    const client = await TlsCaller.open(proxy.port(), trusting);
    expect(client.tls.authorized).toBe(true);
    const second = await secured(
      {},
      { files: { ...files, "shop.pem": rsa.certificate, "shop.key": rsa.key } },
    );
    expect(await asked(second.port())).toBe(200);
  });
});

describe("a caller that does not speak TLS", () => {
  for (const bytes of [
    "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    "G",
    "\0\0\0",
    "\x16\x02",
    "\x80\x2e\x01",
  ]) {
    test(`is told so in HTTP, and closed: ${JSON.stringify(bytes)}`, async () => {
      const proxy = await secured();
      const client = await caller(proxy);
      const answer = await client.exchange(bytes);
      expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([400, "tls-required"]);
      expect(await client.ended()).toBe("fin");
      client.close();
      await eventually("the connection to be gone", () => proxy.open.downstream === 0);
      expect(proxy.log).toMatchObject([
        { message: "no TLS connection with a caller: it does not speak TLS", fields: { listener: "web" } },
      ]);
    });
  }

  test("is closed though it goes on sending and never closes", async () => {
    const clock = new VirtualClock();
    const proxy = await secured({}, { clock });
    const client = await caller(proxy);
    await client.exchange("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 9999999\r\n\r\n");
    client.send("x".repeat(100_000));
    clock.advance(1_200);
    await eventually("the connection to be gone", () => proxy.open.downstream === 0);
  });
});

describe("TLS spoken to a plain port", () => {
  for (const { name, bytes } of realHellos) {
    test(`is refused as such at its first byte: ${name}`, async () => {
      const upstream = await upstreamWith();
      const proxy = await proxyTo({ ports: [upstream.port] });
      const client = await caller(proxy);
      client.send(bytes);
      const answer = await client.answer();
      expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([400, "tls-on-plain-port"]);
      expect(await client.ended()).toBe("fin");
      expect(proxy.log[0]!.message).toBe(
        "refused a request: the caller speaks TLS, and this listener does not (protocol: https would)",
      );
      expect(upstream.requests).toEqual([]);
    });
  }
});

describe("the time for a handshake, 5 s", () => {
  async function timed(text: Partial<GatewayText> = {}) {
    const clock = new VirtualClock();
    const watched = new WatchedSockets(host.sockets);
    const proxy = await secured(text, { clock, sockets: watched.sockets });
    const client = await caller(proxy);
    await eventually("the connection", () => proxy.open.downstream === 1);
    return { clock, watched, proxy, client };
  }
  const sent = realHellos[0]!.bytes;

  test("ends a connection on which nothing comes", async () => {
    const { clock, proxy, client } = await timed();
    clock.advance(4_999);
    expect(proxy.open.downstream).toBe(1);
    clock.advance(200);
    expect(await client.ended()).toBe("reset");
    expect(proxy.open.downstream).toBe(0);
    expect(proxy.log).toMatchObject([
      { message: "no TLS connection with a caller: it sent nothing for 5 s" },
    ]);
  });

  test("ends a hello that comes byte by byte, however steadily", async () => {
    const { clock, watched, proxy, client } = await timed();
    for (let at = 0; at < 49; at++) {
      await watched.send(client, sent.toString("latin1", at, at + 1));
      clock.advance(100);
    }
    expect(proxy.open.downstream).toBe(1);
    await watched.send(client, sent.toString("latin1", 49, 50));
    clock.advance(300);
    expect(await client.ended()).toBe("reset");
    expect(proxy.log).toMatchObject([
      { message: "no TLS connection with a caller: its handshake took longer than 5 s" },
    ]);
  });

  test("ends a handshake whose caller stops after its hello", async () => {
    const { clock, proxy, client } = await timed();
    client.send(sent);
    await client.until("the server's hello", () => (client.received.startsWith("\x16\x03") ? true : null));
    clock.advance(4_999);
    expect(proxy.open.downstream).toBe(1);
    clock.advance(200);
    expect(await client.ended()).toBe("reset");
    expect(proxy.log).toMatchObject([
      {
        message: "no TLS connection with a caller: its handshake took longer than 5 s",
        fields: { serverName: "shop.example" },
      },
    ]);
  });

  test("is set by handshakeTimeout, and is over once the handshake is", async () => {
    const { clock, proxy, client } = await timed({ limits: "{ handshakeTimeout: 250ms }" });
    const done = await TlsCaller.open(proxy.port());
    expect(statusOf(await done.exchange(get))).toBe(200);
    clock.advance(249);
    expect(proxy.open.downstream).toBe(2);
    clock.advance(200);
    expect(await client.ended()).toBe("reset");
    expect(proxy.log).toMatchObject([
      { message: "no TLS connection with a caller: it sent nothing for 0.25 s" },
    ]);
    clock.advance(5_000);
    expect(statusOf(await done.exchange(get))).toBe(200);
  });
});

describe("a handshake that fails", () => {
  test("leaves the listener as it was: others go on and come", async () => {
    const proxy = await secured();
    const steady = await TlsCaller.open(proxy.port());
    for (let count = 0; count < 20; count++) {
      expect(await refusal(proxy.port(), { ALPNProtocols: ["h2"] })).toContain("ALERT");
      expect(statusOf(await steady.exchange(get))).toBe(200);
      expect(await asked(proxy.port())).toBe(200);
    }
    steady.close();
    await eventually("all connections to be gone", () => proxy.open.downstream === 0);
  });

  test("at any place, by a caller that leaves, leaves no connection behind", async () => {
    const proxy = await secured();
    const { bytes } = realHellos[0]!;
    for (const [index, length] of [0, 1, 4, 5, 6, 50, bytes.length - 1, bytes.length].entries()) {
      for (const leave of ["finish", "reset", "close"] as const) {
        const client = await RawClient.open(proxy.port());
        client.send(bytes.subarray(0, length));
        if (index % 2 === 0) await setTimeout(1);
        client[leave]();
        await client.ended();
        client.close();
      }
    }
    await eventually("all connections to be gone", () => proxy.open.downstream === 0);
    expect(await asked(proxy.port())).toBe(200);
    for (const { message } of proxy.log) expect(message).toContain("the connection ended in ");
  });

  test("whose first message is longer than any is ended, and said", async () => {
    const proxy = await secured();
    const client = await caller(proxy);
    const message = Buffer.concat([Buffer.from([1, 1, 0, 0]), Buffer.alloc(30_000)]);
    client.send(inRecords(message, 1_000));
    expect(await client.ended()).toBe("reset");
    await eventually("the line", () => proxy.log.length > 0);
    expect(proxy.log[0]!.message).toContain("is longer than 16384 bytes");
  });

  test("of hellos with no content, or damaged ones, is the end of that connection alone", async () => {
    const proxy = await secured();
    const random = new SeededRandom(7);
    const below = (limit: number) => Math.floor(random.fraction() * limit);
    const made = [
      hello([nameExtension("shop.example")]),
      hello([nameExtension("shop.example\0")]),
      hello([]),
    ];
    const damaged = Array.from({ length: 150 }, () => {
      const copy = Buffer.from(realHellos[below(realHellos.length)]!.bytes);
      for (let times = 1 + below(6); times > 0; times--) copy[below(copy.length)] = below(256);
      return copy;
    });
    for (const bytes of [...made, ...damaged]) {
      const client = await RawClient.open(proxy.port());
      client.send(bytes);
      client.finish();
      await client.ended();
      client.close();
    }
    await eventually("all connections to be gone", () => proxy.open.downstream === 0);
    expect(await asked(proxy.port())).toBe(200);
  });
});

describe("connections beyond the limit, on a listener with TLS", () => {
  test("are told so by an alert and closed; one that ends makes room", async () => {
    const proxy = await secured({ limits: "{ connections: 2 }" });
    const first = await TlsCaller.open(proxy.port());
    // One whose handshake goes on counts too.
    const second = await caller(proxy);
    await eventually("two connections", () => proxy.open.downstream === 2);
    expect(await refusal(proxy.port())).toBe("ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR");
    const third = await caller(proxy);
    expect(await third.ended()).toBe("fin");
    expect(third.received).toBe("\x15\x03\x01\0\x02\x02\x50");
    expect(statusOf(await first.exchange(get))).toBe(200);
    second.close();
    await eventually("room", () => proxy.open.downstream === 1);
    expect(await asked(proxy.port())).toBe(200);
  });
});

test("a listener with TLS that drains lets handshakes and answers end", async () => {
  let release: (answer: string) => void = () => {};
  const upstream = await upstreamWith({
    onRequest: (_request, connection) => {
      release = (answer) => connection.send(answer);
      return null;
    },
  });
  const clock = new VirtualClock();
  const proxy = await proxyTo({ ports: [upstream.port], listener: https([shopEntry]) }, { files, clock });
  const client = await TlsCaller.open(proxy.port());
  const idle = await TlsCaller.open(proxy.port());
  client.send(get);
  await upstream.request();
  const drained = proxy.runtime.drain(30_000);
  clock.advance(2_000);
  expect(await idle.ended()).toBe("fin");
  idle.close();
  release(okAnswer);
  const answer = await client.answer();
  expect([statusOf(answer), ...values(answer, "connection")]).toEqual([200, "close"]);
  expect(await client.ended()).toBe("fin");
  client.close();
  expect(await drained).toEqual({ forced: 0 });
});
