/** Services outside, through a real sidecar: by address, by DNS, over TLS; and names that the mesh document has not. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Authority } from "../certificates.ts";
import { freePorts } from "../free-ports.ts";
import { DnsServer } from "../node/dns/dns-server.ts";
import { answers, startClearway, until } from "../program.ts";
import { type Message, statusOf, values } from "../runtime/messages.ts";
import { RawClient } from "../runtime/raw-client.ts";
import { OutsideService, type OutsideWish } from "./outside-service.ts";
import {
  resolverAddress,
  resolverFile,
  resolverMissing,
  resolverPort,
  withResolver,
} from "./own-resolver.ts";
import { ready, well } from "./sidecars.ts";
import { type Answer, call, credentialsOf, type Member, StartedMesh } from "./started-mesh.ts";

const missing = resolverMissing();
const withDns = test.skipIf(missing !== null);
const named = (name: string) => missing ?? name;
const established = "HTTP/1.1 200 OK\r\n\r\n";

let mesh: StartedMesh;
let storefront: Member;
let dns: DnsServer | null = null;
let taxes: OutsideService;
let authority: Authority;
const outsides: OutsideService[] = [];

async function outside(name: string, wish: OutsideWish = {}): Promise<OutsideService> {
  const service = await OutsideService.start(name, wish);
  outsides.push(service);
  return service;
}

const at = ({ port }: OutsideService, host = "127.0.0.1") => `endpoints: ["${host}:${port}"]`;

/** Every service of every test: each test says what is other with its own. */
function services(own: Readonly<Record<string, string>> = {}): string {
  const said: Record<string, string> = { storefront: "{}", taxes: `{ ${at(taxes)} }`, ...own };
  return Object.entries(said)
    .map(([name, rules]) => `  ${name}: ${rules}\n`)
    .join("");
}

async function applied(own: Readonly<Record<string, string>>, root = ""): Promise<void> {
  const { code, output } = await mesh.apply(services(own), root);
  expect({ code, output }).toMatchObject({ code: 0 });
}

const get = (service: string, path: string) => call(storefront.sidecar, service, path);

/** Until its answer is such a one. A node that hears of a service with the first call to it may be slow to. */
const got = (service: string, path: string, holds: (answer: Answer) => boolean) =>
  until(() => get(service, path), holds);

const answeredBy = (service: string, name: string) =>
  got(service, "/rate", ({ text }) => text === `${name} GET /rate`);

const raw = () => RawClient.open(storefront.sidecar.outbound);

async function tunnel(target: string): Promise<RawClient> {
  const client = await raw();
  client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  expect(await client.take(established.length)).toBe(established);
  return client;
}

const told = (answer: Message) => [statusOf(answer), ...values(answer, "x-clearway-reason")];

beforeAll(async () => {
  authority = await Authority.make("CN=outside");
  const other = await Authority.make("CN=others");
  taxes = await outside("taxes");
  const files = { "outside.pem": authority.certificate, "others.pem": other.certificate };
  mesh = await StartedMesh.start(services(), { files: { ...files, "resolv.conf": resolverFile } });
  if (missing === null) dns = await DnsServer.start(resolverPort, resolverAddress);
  const within = missing === null ? withResolver(join(mesh.folder, "resolv.conf")) : [];
  storefront = await mesh.begin("storefront", { upstreams: ["taxes"], within });
  await mesh.well();
}, 60_000);

afterAll(async () => {
  await mesh?.stop();
  await dns?.stop();
  for (const service of outsides) service.close();
});

describe("a service outside with endpoints", () => {
  test("is reached by a port of its own, by Host, by a whole URL and in a tunnel, and hears that Host", async () => {
    const port = storefront.sidecar.upstreams.taxes!;
    expect(await (await fetch(`http://${port}/port`)).text()).toBe("taxes GET /port");
    expect((await get("taxes", "/host")).text).toBe("taxes GET /host");
    const client = await raw();
    const whole = await client.exchange("GET http://taxes.mesh/url HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(whole.body).toBe("taxes GET /url");
    client.close();
    const inside = await tunnel("taxes.mesh:80");
    const within = await inside.exchange("GET /tunnel HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(within.body).toBe("taxes GET /tunnel");
    inside.close();
    expect(taxes.requests.map(({ path, headers }) => [path, headers.host])).toEqual([
      ["/port", port],
      ["/host", "taxes.mesh"],
      ["/url", "taxes.mesh"],
      ["/tunnel", "taxes.mesh"],
    ]);
    // It is no business of theirs which service of the mesh calls.
    expect(taxes.requests.filter(({ headers }) => "x-clearway-identity" in headers)).toEqual([]);
  }, 60_000);

  test("may be named by its host, and be told the Host that it goes by", async () => {
    const rates = await outside("rates");
    const routes = "routes: [{ rewrite: { host: rates.example } }]";
    await applied({ rates: `{ ${at(rates, "localhost")}, ${routes} }` });
    await answeredBy("rates", "rates");
    expect(rates.requests.at(-1)?.headers.host).toBe("rates.example");
  }, 60_000);

  test("moves into the mesh and out again, as the document says", async () => {
    const before = await outside("before");
    await applied({ rates: `{ ${at(before)} }` });
    const { app, sidecar } = await mesh.begin("rates", { name: "after" });
    await answeredBy("rates", "before");
    await applied({ rates: "{ allow: [{ from: storefront }] }" });
    await well(sidecar);
    await answeredBy("rates", "after");
    const { identity } = credentialsOf(storefront.sidecar);
    expect(app.requests.at(-1)?.headers["x-clearway-identity"]).toBe(identity);
    await applied({ rates: `{ ${at(before)} }` });
    await answeredBy("rates", "before");
  }, 90_000);
});

describe("a service outside over TLS", () => {
  test("proves its name by the authority that the document names; else nothing is sent to it", async () => {
    const names = ["rates.example"];
    const secure = await outside("secure", { pair: await authority.issue({ names }) });
    const ended = await outside("ended", { pair: await authority.issue({ names, endsDays: -0.5 }) });
    const tls = (where: OutsideService, options: string) => `{ ${at(where)}, tls: { ${options} } }`;
    const right = "ca: outside.pem, serverName: rates.example";
    const wrong: Readonly<Record<string, readonly [rules: string, why: RegExp]>> = {
      stranger: [tls(secure, "ca: others.pem, serverName: rates.example"), /certificate is not believed/],
      "of-nobody": [tls(secure, "serverName: rates.example"), /certificate is not believed/],
      ended: [tls(ended, right), /certificate is not believed/],
      misnamed: [tls(secure, "ca: outside.pem, serverName: taxes.example"), /not for this name/],
      unnamed: [tls(secure, "ca: outside.pem"), /not for this name/],
      plain: [tls(taxes, right), /does not speak TLS|ended in the handshake/],
    };
    const rules = Object.entries(wrong).map(([name, [said]]) => [name, said] as const);
    await applied({ ...Object.fromEntries(rules), rates: tls(secure, right) });
    await answeredBy("rates", "secure");
    for (const [name, [, why]] of Object.entries(wrong)) {
      const refused = await got(name, "/secret", ({ reason }) => reason === "no-healthy-endpoint");
      // Whoever calls is not told what is behind; who runs the node is.
      expect([refused.status, refused.text]).toEqual([503, expect.not.stringContaining("certificate")]);
      await until(storefront.sidecar.running.output, (output) =>
        output.split("\n").some((line) => line.includes(`service ${name}: `) && why.test(line)),
      );
    }
    const heard = [secure, ended, taxes].flatMap(({ requests }) => requests.map(({ path }) => path));
    expect(heard).not.toContain("/secret");
    await applied({ stranger: tls(secure, right) });
    await answeredBy("stranger", "secure");
  }, 90_000);
});

describe("a name in DNS", () => {
  const name = "rates.clearway.test";
  const often = "refreshMin: 100ms, refreshMax: 200ms";
  const [one, other] = ["127.0.0.2", "127.0.0.3"];

  withDns(
    named("of a service outside leads to where its record does, as that changes, and is missed when it goes"),
    async () => {
      const first = await outside("first", { host: one });
      await outside("second", { host: other, port: first.port });
      dns!.addresses(name, [one]);
      await applied({ rates: `{ dns: { name: ${name}, port: ${first.port}, ${often} } }` });
      await answeredBy("rates", "first");
      dns!.addresses(name, [other]);
      await answeredBy("rates", "second");
      const next = await Promise.all(Array.from({ length: 20 }, () => get("rates", "/rate")));
      expect(new Set(next.map(({ text }) => text))).toEqual(new Set(["second GET /rate"]));
      dns!.remove(name);
      const gone = await got("rates", "/rate", ({ status }) => status !== 200);
      expect([gone.status, gone.reason]).toEqual([503, "no-healthy-endpoint"]);
      expect(gone.text).toContain("discovery knows no endpoint");
      dns!.addresses(name, [one]);
      await answeredBy("rates", "first");
    },
    90_000,
  );

  withDns(
    named("with SRV records is followed to their ports, and has to be in the certificate there"),
    async () => {
      const pair = await authority.issue({ names: [name] });
      const first = await outside("srv-first", { host: one, pair });
      const second = await outside("srv-second", { pair });
      const record = (port: number, target: string) =>
        dns!.set(`_https._tcp.${name}`, [{ type: "SRV", ttl: 1, priority: 1, weight: 1, port, target }]);
      dns!.addresses(`a.${name}`, [one]);
      dns!.addresses(`b.${name}`, ["127.0.0.1"]);
      record(first.port, `a.${name}`);
      const found = `dns: { name: _https._tcp.${name}, ${often} }`;
      await applied({
        rates: `{ ${found}, tls: { ca: outside.pem } }`,
        misnamed: `{ ${found}, tls: { ca: outside.pem, serverName: taxes.example } }`,
      });
      await answeredBy("rates", "srv-first");
      record(second.port, `b.${name}`);
      await answeredBy("rates", "srv-second");
      const refused = await got("misnamed", "/secret", ({ reason }) => reason === "no-healthy-endpoint");
      expect(refused.status).toBe(503);
      const heard = [first, second].flatMap(({ requests }) => requests.map(({ path }) => path));
      expect(heard).not.toContain("/secret");
    },
    90_000,
  );

  withDns(
    named("of a host that no document has is asked for where egress allows it, and else not at all"),
    async () => {
      const unlisted = "unlisted.clearway.test";
      const first = await outside("first", { host: one });
      await outside("second", { host: other, port: first.port });
      dns!.addresses(unlisted, [one]);
      await applied({});
      const url = `http://${unlisted}:${first.port}/rate`;
      const proxied = async () => {
        const client = await raw();
        const answer = await client.exchange(`GET ${url} HTTP/1.1\r\nHost: ${unlisted}\r\n\r\n`);
        client.close();
        return { told: told(answer), body: answer.body };
      };
      await until(proxied, ({ body }) => body === "first GET /rate");
      dns!.addresses(unlisted, [other]);
      await until(proxied, ({ body }) => body === "second GET /rate");
      const inside = await tunnel(`${unlisted}:${first.port}`);
      const within = await inside.exchange("GET /tunnel HTTP/1.1\r\nHost: x\r\n\r\n");
      expect(within.body).toBe("second GET /tunnel");
      inside.close();
      await applied({}, "defaults: { egress: deny }");
      await until(proxied, ({ told: [status] }) => status === 403);
      const before = dns!.asked.length;
      expect((await proxied()).told).toEqual([403, "egress-denied"]);
      const client = await raw();
      const target = `other.${unlisted}:443`;
      const head = `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
      const refused = await client.exchange(head, "CONNECT");
      expect(told(refused)).toEqual([403, "egress-denied"]);
      client.close();
      expect(dns!.asked.slice(before).filter((asked) => asked.name.endsWith(unlisted))).toEqual([]);
      // One that the document has is none of those.
      await answeredBy("taxes", "taxes");
      await applied({});
    },
    90_000,
  );
});

test("a gateway of the mesh calls a service outside too, and asks the DNS server of its own config for it", async () => {
  const own = await DnsServer.start();
  const first = await outside("first", { host: "127.0.0.2" });
  await outside("second", { host: "127.0.0.3", port: first.port });
  own.addresses("rates.clearway.test", ["127.0.0.2"]);
  const bounds = "refreshMin: 100ms, refreshMax: 200ms";
  const rates = `{ dns: { name: rates.clearway.test, port: ${first.port}, ${bounds} } }`;
  await applied({ gateway: "{}", rates });
  const [web, admin] = await freePorts(2);
  const config = {
    admin: `127.0.0.1:${admin}`,
    resolver: { servers: [`127.0.0.1:${own.port}`] },
    listeners: { web: { bind: `127.0.0.1:${web}`, routes: [{ to: "rates" }] } },
    services: { rates: {} },
    mesh: { coordinator: mesh.url, service: "gateway", tokenFile: "gateway.token" },
  };
  writeFileSync(join(mesh.folder, "gateway.token"), await mesh.token("gateway"));
  writeFileSync(join(mesh.folder, "gateway.yaml"), JSON.stringify(config));
  const gateway = startClearway(["run", "-c", "gateway.yaml"], { folder: mesh.folder });
  try {
    await answers(`http://127.0.0.1:${admin}/readyz`, gateway);
    const asked = () => fetch(`http://127.0.0.1:${web}/rate`).then((response) => response.text());
    await until(asked, (text) => text === "first GET /rate");
    own.addresses("rates.clearway.test", ["127.0.0.3"]);
    await until(asked, (text) => text === "second GET /rate");
  } finally {
    await gateway.stop();
    await own.stop();
  }
}, 90_000);

describe("a service that the document does not have", () => {
  for (const egress of ["allow", "deny"]) {
    test(`is refused by Host, by a whole URL and in a tunnel, with egress: ${egress}`, async () => {
      await applied({}, `defaults: { egress: ${egress} }`);
      const byHost = await got("nothing", "/", ({ reason }) => reason !== "service-unknown");
      expect([byHost.status, byHost.reason]).toEqual([502, "no-such-service"]);
      const client = await raw();
      const whole = await client.exchange("GET http://nothing.mesh/ HTTP/1.1\r\nHost: nothing.mesh\r\n\r\n");
      expect(told(whole)).toEqual([502, "no-such-service"]);
      client.close();
      const inside = await tunnel("nothing.mesh:80");
      const within = await inside.exchange("GET / HTTP/1.1\r\nHost: nothing.mesh\r\n\r\n");
      expect(told(within)).toEqual([502, "no-such-service"]);
      expect(within.body).toContain("the mesh has no service of this name");
      inside.close();
    }, 60_000);
  }

  test("is said by the port of --upstream and by /readyz from the start, until an apply brings it", async () => {
    await applied({ accounts: "{}" });
    const { sidecar } = await mesh.begin("accounts", { upstreams: ["late"] });
    const asked = async () => {
      const response = await fetch(`http://${sidecar.upstreams.late}/rate`);
      const reason = response.headers.get("x-clearway-reason");
      return { status: response.status, reason, text: await response.text() };
    };
    const why = "the mesh document has no service late: add it under services, and apply it";
    await ready(sidecar);
    const said = await fetch(`http://127.0.0.1:${sidecar.admin}/readyz`);
    expect(await said.text()).toContain(`warning: --upstream late: ${why}\n`);
    expect(await asked()).toEqual({
      status: 502,
      reason: "no-such-service",
      text: `no-such-service: ${why}\n`,
    });
    const late = await outside("late");
    await applied({ accounts: "{}", late: `{ ${at(late)} }` });
    await until(asked, ({ text }) => text === "late GET /rate");
    await well(sidecar);
  }, 90_000);
});
