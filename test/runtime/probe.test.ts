import { afterEach, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { defaultLimits } from "../../src/config/limits.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { host } from "../../src/host/index.ts";
import type { Address } from "../../src/machine.ts";
import { type CheckedService, createProbe } from "../../src/runtime/probe.ts";
import type { HealthCheckConfig, ServiceTls } from "../../src/snapshot.ts";
import { Authority } from "../certificates.ts";
import { eventually } from "./waiting.ts";

const probe = createProbe({ sockets: host.sockets, clock: systemClock, programVersion: "1.2.3" });
/** For what must come. */
const patientMs = 20_000;
/** For what never comes. */
const shortMs = 50;

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

interface Listening {
  readonly address: Address;
  /** What came, by connection. */
  readonly received: string[];
  readonly closed: string[];
}

/** A service on a bare socket; `serve` gets each connection and what came on it so far. */
async function listening(
  serve: (socket: Socket, received: string) => void,
  { unixPath, server = createServer() }: { readonly unixPath?: string; readonly server?: Server } = {},
): Promise<Listening> {
  const received: string[] = [];
  const closed: string[] = [];
  servers.push(server);
  server.on(
    server.listenerCount("secureConnection") > 0 ? "secureConnection" : "connection",
    (socket: Socket) => {
      const at = received.push("") - 1;
      socket.on("data", (bytes: Buffer) => {
        received[at] += String(bytes);
        serve(socket, received[at]!);
      });
      socket.on("error", ({ message }) => closed.push(message));
      socket.on("close", () => closed.push("closed"));
    },
  );
  await new Promise<void>((resolve) => {
    if (unixPath === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(unixPath, resolve);
  });
  const bound = server.address();
  const address = typeof bound === "string" ? { unixPath: bound } : { host: "127.0.0.1", port: bound!.port };
  return { address, received, closed };
}

function serviceOf(check: Partial<HealthCheckConfig> = {}, tls: ServiceTls | null = null): CheckedService {
  const none = {
    intervalMs: 1000,
    timeoutMs: patientMs,
    healthy: 1,
    unhealthy: 1,
    path: "/healthz",
    host: null,
  };
  return {
    name: "orders",
    dns: null,
    registry: null,
    healthCheck: { ...none, ...check },
    tls,
    timeouts: { connectMs: patientMs, idleMs: 1000 },
    messageLimits: defaultLimits,
  } as unknown as CheckedService;
}

const answer = (status: number, body = "ok", fields = "") =>
  `HTTP/1.1 ${status} Whatever\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`;
const answering = (text: string) => (socket: Socket, received: string) => {
  if (received.endsWith("\r\n\r\n")) socket.write(text);
};

describe("createProbe", () => {
  test("createProbe asks as itself, and closes the connection in order", async () => {
    const service = await listening(answering(answer(200)));
    expect(await probe(serviceOf({ path: "/healthz?full=1" }), service.address)).toBeNull();
    const { port } = service.address as { port: number };
    expect(service.received).toEqual([
      `GET /healthz?full=1 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: clearway-health-check/1.2.3\r\n` +
        "Accept: */*\r\nConnection: close\r\n\r\n",
    ]);
    await eventually("the end of the connection", () => service.closed.length > 0);
    expect(service.closed).toEqual(["closed"]);
  });

  test("createProbe sends the host that the config names", async () => {
    const service = await listening(answering(answer(200)));
    await probe(serviceOf({ host: "orders.example" }), service.address);
    expect(service.received[0]).toContain("\r\nHost: orders.example\r\n");
  });

  test("createProbe takes 200 to 399 for well, and says what else came", async () => {
    for (const [status, wanted] of [
      [200, null],
      [204, null],
      [399, null],
      [400, "it answered 400"],
      [404, "it answered 404"],
      [503, "it answered 503"],
    ] as const) {
      const text = status === 204 ? "HTTP/1.1 204 No Content\r\n\r\n" : answer(status);
      const service = await listening(answering(text));
      expect(await probe(serviceOf(), service.address)).toBe(wanted);
    }
  });

  test("createProbe wants no more than a connection where there is no path", async () => {
    const service = await listening(() => {});
    expect(await probe(serviceOf({ path: null }), service.address)).toBeNull();
    await eventually("the end of the connection", () => service.closed.length > 0);
    expect(service.received).toEqual([""]);
  });

  test("createProbe goes through unix paths", async () => {
    const unixPath = join(tmpdir(), `clearway-probe-${process.pid}.sock`);
    const service = await listening(answering(answer(200)), { unixPath });
    expect(await probe(serviceOf(), service.address)).toBeNull();
    expect(service.received[0]).toContain("\r\nHost: localhost\r\n");
    await rm(unixPath, { force: true });
    expect(await probe(serviceOf(), { unixPath: join(tmpdir(), "clearway-none.sock") })).toBe(
      "there is no such socket file",
    );
  });

  test("createProbe says that nobody listens", async () => {
    const { address } = await listening(() => {});
    await new Promise((resolve) => servers.pop()!.close(resolve));
    expect(await probe(serviceOf(), address)).toBe("connection refused");
    expect(await probe(serviceOf({ path: null }), address)).toBe("connection refused");
  });

  test("createProbe says that no answer came in time, and leaves no connection behind", async () => {
    const service = await listening(() => {});
    expect(await probe(serviceOf({ timeoutMs: shortMs }), service.address)).toBe(
      `no answer in ${shortMs} ms`,
    );
    await eventually("the end of the connection", () => service.closed.length > 0);
  });

  test("createProbe counts a head in time as an answer, whatever its body does", async () => {
    const endless = await listening((socket, received) => {
      if (received.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    });
    expect(await probe(serviceOf({ timeoutMs: 500 }), endless.address)).toBeNull();
    await eventually("the end of the connection", () => endless.closed.length > 0);
    const large = await listening(answering(answer(200, "x".repeat(1 << 20))));
    expect(await probe(serviceOf(), large.address)).toBeNull();
    await eventually("the end of the connection", () => large.closed.length > 0);
  });

  test("createProbe says what is wrong with an answer", async () => {
    for (const [text, wanted] of [
      ["nonsense\r\n\r\n", "malformed"],
      [answer(200, "", `X: ${"y".repeat(defaultLimits.headerBytes)}\r\n`), "malformed"],
      ["HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "switched protocols"],
    ] as const) {
      const service = await listening(answering(text));
      expect(await probe(serviceOf(), service.address)).toContain(wanted);
    }
    const closing = await listening((socket) => socket.end());
    expect(await probe(serviceOf(), closing.address)).toBe("closed the connection");
  });

  test("createProbe reads over interim answers", async () => {
    const service = await listening(answering(`HTTP/1.1 103 Early Hints\r\n\r\n${answer(200)}`));
    expect(await probe(serviceOf(), service.address)).toBeNull();
  });
});

describe("createProbe, TLS", () => {
  test("createProbe goes through TLS as requests do, and believes only whom they believe", async () => {
    const [authority, stranger] = await Promise.all([Authority.make("CN=ours"), Authority.make("CN=theirs")]);
    const pair = await authority.issue({ subject: "CN=orders", names: ["orders.example"] });
    const server = createTlsServer({ cert: pair.certificate, key: pair.key });
    server.on("secureConnection", () => {});
    const service = await listening(answering(answer(200)), { server });
    const tls = {
      ca: authority.certificate,
      serverName: "orders.example",
      verification: "full",
      identity: null,
      certificate: null,
    };
    const checked = (change: Partial<ServiceTls>) =>
      probe(serviceOf({}, { ...tls, ...change } as ServiceTls), service.address);
    expect(await checked({})).toBeNull();
    expect(await checked({ serverName: "accounts.example" })).toContain("certificate");
    expect(await checked({ ca: stranger.certificate })).toContain("certificate");
    expect(await checked({ ca: stranger.certificate, verification: "none" })).toBeNull();
    expect(await checked({ ca: "no certificate at all" })).toBeString();
    // A plain check says nothing that a TLS server answers.
    expect(await probe(serviceOf({}), service.address)).not.toBeNull();
  });
});
