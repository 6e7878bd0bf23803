/** Services that DNS names and the node checks, through the real program. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLoad } from "../bench/load.ts";
import { freePorts } from "./free-ports.ts";
import { DnsServer } from "./node/dns/dns-server.ts";
import { answers, type Running, startClearway, until } from "./program.ts";

const body = "a small body of some bytes\n";
const name = "orders.clearway.test";

let folder: string;
let dns: DnsServer;
let web: number;
let admin: number;
let running: Running | null = null;
const services: Service[] = [];

/** All of them have one port, each on a loopback address of its own. */
class Service {
  /** Requests of callers, by what they said as their Host. */
  readonly asked: IncomingMessage[] = [];
  checks = 0;
  health: "well" | "ill" = "well";
  readonly #server: Server;

  private constructor(readonly host: string) {
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      if (request.url === "/healthz") {
        this.checks++;
        response.writeHead(this.health === "well" ? 200 : 503).end();
      } else {
        this.asked.push(request);
        response.end(body);
      }
    });
  }

  static async start(host: string, port = 0): Promise<Service> {
    const service = new Service(host);
    await new Promise<void>((resolve) => service.#server.listen(port, host, resolve));
    services.push(service);
    return service;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-discovery-"));
  dns = await DnsServer.start();
});

afterEach(async () => {
  await running?.stop();
  running = null;
  for (const service of services.splice(0)) service.stop();
});

afterAll(async () => {
  await dns.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Setting {
  readonly service: string;
  readonly bind?: string;
}

const file = () => join(folder, "clearway.yaml");

async function save({ service, bind = "127.0.0.1" }: Setting): Promise<void> {
  const text = `admin: 127.0.0.1:${admin}
drain: 5s
resolver: { servers: ["127.0.0.1:${dns.port}"], timeout: 5s }
listeners: { web: { bind: "${bind}:${web}", routes: [{ to: orders }] } }
services: { orders: { loadBalancing: round-robin, ${service} } }
`;
  await writeFile(`${file()}.new`, text);
  await rename(`${file()}.new`, file());
}

async function run(setting: Setting): Promise<Running> {
  [web, admin] = (await freePorts(2)) as [number, number];
  await save(setting);
  running = startClearway(["run", "-c", file(), "--workers", "2"]);
  await answers(`http://127.0.0.1:${admin}/readyz`, running);
  return running;
}

const lookedUp = (port: number) =>
  `dns: { name: ${name}, port: ${port}, refreshMin: 100ms, refreshMax: 200ms }`;

function load() {
  const wanted = { status: 200, body: Buffer.from(body) };
  return startLoad({ port: web, path: "/", connections: 8, requestsPerSecond: null, wanted });
}

interface Shown {
  readonly discovery: { readonly problem: string | null };
  readonly endpoints: readonly {
    readonly address: string;
    readonly health: string;
    readonly checks: unknown;
  }[];
}

async function shown(): Promise<Shown> {
  const view = await (await fetch(`http://127.0.0.1:${admin}/snapshot`)).json();
  return (view as { services: [Shown] }).services[0];
}

const addresses = async () => (await shown()).endpoints.map(({ address }) => address);

/** Waits until the workers have exactly these. */
async function named(...wanted: readonly string[]): Promise<void> {
  await until(addresses, (seen) => JSON.stringify(seen) === JSON.stringify(wanted));
}

describe("DNS", () => {
  test("run: endpoints come and go in DNS under load, and no request is lost", async () => {
    const first = await Service.start("127.0.0.2");
    const { port } = first;
    const second = await Service.start("127.0.0.3", port);
    dns.addresses(name, [first.host]);
    await run({ service: lookedUp(port) });
    const traffic = load();
    for (let i = 0; i < 5; i++) {
      dns.addresses(name, [first.host, second.host]);
      await named(`${first.host}:${port}`, `${second.host}:${port}`);
      dns.addresses(name, [second.host]);
      await named(`${second.host}:${port}`);
      dns.addresses(name, [first.host]);
      await named(`${first.host}:${port}`);
    }
    const result = await traffic.stop();
    expect(result.examples).toEqual([]);
    expect({ failed: result.failed, closedByPeer: result.closedByPeer }).toEqual({
      failed: 0,
      closedByPeer: 0,
    });
    for (const service of [first, second]) expect(service.asked.length).toBeGreaterThan(10);
  });

  test("run: with no DNS server the last answer serves, and the next one counts when it is back", async () => {
    const [first, second] = [
      await Service.start("127.0.0.2"),
      await Service.start("127.0.0.3", services[0]!.port),
    ];
    const { port } = first;
    const own = dns;
    dns.addresses(name, [first.host]);
    const node = await run({ service: lookedUp(port) });
    const traffic = load();
    await own.stop();
    const problem = await until(
      async () => (await shown()).discovery.problem,
      (seen) => seen !== null,
    );
    expect(problem).toContain(`127.0.0.1:${own.port} refused the connection`);
    expect(await addresses()).toEqual([`${first.host}:${port}`]);
    dns = await DnsServer.start(own.port);
    dns.addresses(name, [second.host]);
    await named(`${second.host}:${port}`);
    const result = await traffic.stop();
    expect([result.examples, result.failed]).toEqual([[], 0]);
    await until(node.output, (text) => text.includes("DNS says again where a service is"));
    expect(node.output().match(/DNS does not say where a service is/g)?.length).toBe(1);
  });

  test("run: a name that is not there does not keep the node from serving, and is served when it is there", async () => {
    const service = await Service.start("127.0.0.2");
    dns.remove(name);
    await run({ service: lookedUp(service.port) });
    const answer = await fetch(`http://127.0.0.1:${web}/`);
    expect([answer.status, answer.headers.get("x-clearway-reason")]).toEqual([503, "no-healthy-endpoint"]);
    expect(await answer.text()).toContain("discovery knows no endpoint");
    dns.addresses(name, [service.host]);
    await until(
      async () => (await fetch(`http://127.0.0.1:${web}/`)).status,
      (status) => status === 200,
    );
  });

  test("run: a reload that leaves a service's DNS alone asks nothing, and one that adds some knows them at once", async () => {
    const service = await Service.start("127.0.0.2");
    dns.addresses(name, [service.host], 300);
    await run({ service: `dns: "${name}:${service.port}"` });
    const before = dns.asked.length;
    const traffic = load();
    await save({ service: `dns: "${name}:${service.port}", limits: { requests: 500 }` });
    const serves = async () =>
      ((await (await fetch(`http://127.0.0.1:${admin}/snapshot`)).json()) as { version: number }).version;
    await until(serves, (version) => version === 2);
    expect(dns.asked.length).toBe(before);
    dns.addresses(`other.${name}`, [service.host], 300);
    await save({ service: `dns: "other.${name}:${service.port}"` });
    await until(serves, (version) => version === 3);
    const result = await traffic.stop();
    expect([result.examples, result.failed]).toEqual([[], 0]);
  });
});

describe("health checks", () => {
  test("run: an endpoint that fails its checks gets no requests until it passes them again", async () => {
    const good = await Service.start("127.0.0.2");
    const { port } = good;
    const bad = await Service.start("127.0.0.3", port);
    dns.addresses(name, [good.host, bad.host]);
    const check = "healthCheck: { path: /healthz, interval: 100ms, healthy: 2, unhealthy: 2 }";
    const node = await run({ service: `${lookedUp(port)}, ${check}` });
    const health = async () => (await shown()).endpoints.map((endpoint) => endpoint.health);
    const traffic = load();
    await until(
      () => bad.asked.length,
      (count) => count > 10,
    );
    bad.health = "ill";
    await until(health, (seen) => seen.join() === "healthy,unhealthy");
    expect((await shown()).endpoints[1]?.checks).toMatchObject({
      verdict: "unhealthy",
      lastCheck: { problem: "it answered 503" },
    });
    // What was on its way when the verdict came is over by the time of a few requests more.
    const settled = good.asked.length + 100;
    await until(
      () => good.asked.length,
      (count) => count > settled,
    );
    const during = { good: good.asked.length, bad: bad.asked.length, checks: bad.checks };
    await until(
      () => good.asked.length,
      (count) => count > during.good + 200,
    );
    expect(bad.asked.length).toBe(during.bad);
    await until(
      () => bad.checks,
      (count) => count > during.checks,
    );
    bad.health = "well";
    await until(
      () => bad.asked.length,
      (count) => count > during.bad + 10,
    );
    const result = await traffic.stop();
    expect([result.examples, result.failed]).toEqual([[], 0]);
    const endpoint = `orders ${bad.host}:${port}`;
    const said = await until(node.output, (text) => text.includes("is healthy again"));
    expect(said).toContain(`${endpoint} is unhealthy: 2 checks in a row failed (last: it answered 503)`);
    expect(said).toContain(`${endpoint} is healthy again: 2 checks in a row passed`);
    const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    expect(metrics).toContain(
      `clearway_endpoint_healthy{service="orders",endpoint="${bad.host}:${port}"} 1\n`,
    );
    expect(metrics).toMatch(/clearway_health_checks_total\{service="orders",result="failed"\} \d+\n/);
    expect(metrics).toMatch(/clearway_dns_answer_age_seconds\{service="orders"\} \d+\n/);
    expect(metrics).toMatch(/clearway_dns_lookups_total\{service="orders",result="found"\} \d+\n/);
  });
});

describe("IPv6", () => {
  test("run: a listener, a name and its endpoint on IPv6", async () => {
    const service = await Service.start("::1");
    dns.addresses(name, ["::1"]);
    const check = "healthCheck: { path: /healthz, interval: 100ms }";
    await run({ bind: "[::1]", service: `${lookedUp(service.port)}, ${check}` });
    const answer = await fetch(`http://[::1]:${web}/`);
    expect([answer.status, await answer.text()]).toEqual([200, body]);
    await until(
      () => service.checks,
      (count) => count > 1,
    );
    expect(service.asked[0]?.headers).toMatchObject({
      host: `[::1]:${web}`,
      "x-forwarded-for": "::1",
    });
    const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    expect(metrics).toContain(
      `clearway_endpoint_healthy{service="orders",endpoint="[::1]:${service.port}"} 1\n`,
    );
    expect(metrics).toContain(
      `clearway_upstream_requests_total{service="orders",endpoint="[::1]:${service.port}",status="200"} 1\n`,
    );
    expect(await addresses()).toEqual([`[::1]:${service.port}`]);
    expect(running?.output()).toContain(`listener web on http://[::1]:${web}`);
  });
});
