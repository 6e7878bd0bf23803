/** The filter in a running proxy, before real sockets. */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/host/clock/node.ts";
import { statusOf } from "../runtime/messages.ts";
import { okAnswer, type RecordingUpstream, type UpstreamScript } from "../runtime/recording-upstream.ts";
import type { GatewayText, RunningProxy } from "../runtime/running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../runtime/setting.ts";
import { eventually } from "../runtime/waiting.ts";
import { SeededRandom } from "../seeded-random.ts";
import { VirtualClock } from "../virtual-clock.ts";

afterEach(closeAll);

const host = "Host: shop.example\r\n";
const get = `GET / HTTP/1.1\r\n${host}\r\n`;
const post = (body: string, method = "PUT") =>
  `${method} / HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n${body}`;
const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
/** Enough to spare: what a test is not about never holds it back. */
const rich = "budget: 100%, perSecond: 10000, backoff: 1ms";

async function behind(
  scripts: readonly UpstreamScript[],
  options: string,
  { route = "", ...text }: Partial<GatewayText> = {},
): Promise<{ services: RecordingUpstream[]; proxy: RunningProxy }> {
  const services = await Promise.all(scripts.map((script) => upstreamWith(script)));
  const filter = `        filters: [{ retry: { ${options} } }]\n${route}`;
  const proxy = await proxyTo(
    { ports: services.map(({ port }) => port), route: filter, ...text },
    { clock: systemClock },
  );
  // The budget begins with the first request.
  const client = await caller(proxy);
  for (let request = 0; request < 20; request++) await client.exchange(get);
  return { services, proxy };
}

/** Well until it is told otherwise, so that the budget can fill. */
function scripted(bad: (attempt: number) => string | null | "reset") {
  let turned = false;
  let attempts = 0;
  const script: UpstreamScript = {
    onRequest(_, connection) {
      if (!turned) return okAnswer;
      const answer = bad(++attempts);
      if (answer !== "reset") return answer;
      connection.close();
      return null;
    },
  };
  const turn = () => {
    turned = true;
  };
  return { script, turn, count: () => attempts };
}

describe("retry, on the wire", () => {
  test("gives the caller the second endpoint's answer for the first one's 503", async () => {
    const bad = scripted(() => busy);
    const well = { onRequest: () => okAnswer };
    const { proxy } = await behind([bad.script, well], rich);
    bad.turn();
    const client = await caller(proxy);
    for (let request = 0; request < 10; request++) expect((await client.exchange(get)).body).toBe("ok");
    expect(bad.count()).toBeGreaterThan(0);
    expect(bad.count()).toBeLessThanOrEqual(10);
    expect(proxy.counted).toContainEqual({
      ...{ name: "clearway_filter_retries_total", route: "*", cause: "503" },
    });
  });

  test("sends a held body whole again after a reset", async () => {
    const bad = scripted((attempt) => (attempt === 1 ? "reset" : okAnswer));
    const { proxy, services } = await behind([bad.script], rich);
    bad.turn();
    const body = "x".repeat(64 * 1024);
    expect((await (await caller(proxy)).exchange(post(body))).body).toBe("ok");
    expect(services[0]!.requests.at(-1)!.body).toBe(body);
    expect(bad.count()).toBe(2);
  });

  test("leaves alone a body that is one byte too large to be held", async () => {
    const bad = scripted((attempt) => (attempt === 1 ? busy : okAnswer));
    const { proxy } = await behind([bad.script], rich);
    bad.turn();
    const answer = await (await caller(proxy)).exchange(post("x".repeat(64 * 1024 + 1)));
    expect(statusOf(answer)).toBe(503);
    expect(bad.count()).toBe(1);
  });

  test("never sends a POST again that a service may have begun", async () => {
    for (const outcome of ["reset", busy]) {
      const bad = scripted(() => outcome);
      const { proxy } = await behind([bad.script], rich);
      bad.turn();
      const answer = await (await caller(proxy)).exchange(post("x", "POST"));
      expect(statusOf(answer)).toBe(outcome === "reset" ? 502 : 503);
      expect(bad.count()).toBe(1);
    }
  });

  test("sends any body of any method once somebody listens at last", async () => {
    const service = await upstreamWith();
    const { port } = service;
    service.stop();
    const clock = new VirtualClock();
    const route = `        filters: [{ retry: { ${rich} } }]`;
    const proxy = await proxyTo({ ports: [port], route }, { clock });
    const client = await caller(proxy);
    const body = "x".repeat(100_000);
    client.send(post(body, "POST"));
    await eventually("the refused connection", () =>
      proxy.counted.some(({ cause }) => cause === "connect-failure"),
    );
    await service.listen(port);
    clock.advance(1000);
    expect((await client.answer()).body).toBe("ok");
    expect(service.requests.map((request) => request.body)).toEqual([body]);
  });

  test("gives up a try after perTry, and the next endpoint answers", async () => {
    const silent = scripted(() => null);
    const options = `${rich}, when: [timeout], perTry: 300ms, attempts: 10`;
    const { proxy } = await behind([silent.script, { onRequest: () => okAnswer }], options);
    silent.turn();
    const client = await caller(proxy);
    for (let request = 0; request < 2; request++) expect((await client.exchange(get)).body).toBe("ok");
    expect(silent.count()).toBeGreaterThan(0);
  });

  test("never goes past the route's timeout", async () => {
    const silent = scripted(() => null);
    const options = `${rich}, when: [timeout, 504], perTry: 200ms, attempts: 10`;
    const { proxy } = await behind([silent.script], options, { route: "        timeout: 500ms" });
    silent.turn();
    const answer = await (await caller(proxy)).exchange(get);
    expect(statusOf(answer)).toBe(504);
    expect(silent.count()).toBeLessThanOrEqual(3);
  });

  test("sends nothing again once a byte of the answer went out", async () => {
    const torn = scripted(() => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    const { proxy, services } = await behind([torn.script], `${rich}, when: [reset, 5xx]`);
    torn.turn();
    const client = await caller(proxy);
    client.send(get);
    expect(await client.take(1)).toBe("H");
    for (const connection of services[0]!.connections) connection.close();
    await client.until("the end", () => (client.peer === "open" ? null : true));
    expect(torn.count()).toBe(1);
  });
});

/** Ten services behind a proxy with its defaults; `judge` says what each request to one of them gets. */
async function outage(options: string, judge: (service: number) => string) {
  let requests = 0;
  let judged = (_: number) => okAnswer;
  const scripts = Array.from({ length: 10 }, (_, service) => ({
    onRequest() {
      requests++;
      return judged(service);
    },
  }));
  const { proxy } = await behind(scripts, options, { service: "    outlierDetection: {}" });
  judged = judge;
  const client = await caller(proxy);
  const ask = async (count: number) => {
    const before = requests;
    let failed = 0;
    for (let asked = 0; asked < count; asked++) if (statusOf(await client.exchange(get)) !== 200) failed++;
    return { failed, sent: requests - before };
  };
  return { ask };
}

describe("retry, during an outage", () => {
  test("of a tenth of all tries hides it from callers, for a ninth more tries", async () => {
    const chance = new SeededRandom(5);
    const { ask } = await outage("attempts: 4, backoff: 1ms", () =>
      chance.fraction() < 0.1 ? busy : okAnswer,
    );
    await ask(200);
    const { failed, sent } = await ask(1000);
    expect(failed).toBeLessThanOrEqual(1);
    expect(sent).toBeGreaterThan(1060);
    expect(sent).toBeLessThan(1170);
  });

  test("of three services of ten hides it from callers, for hardly a try more", async () => {
    const { ask } = await outage("attempts: 3, backoff: 1ms", (service) => (service < 3 ? busy : okAnswer));
    await ask(200);
    const { failed, sent } = await ask(500);
    expect(failed).toBe(0);
    expect(sent).toBeLessThanOrEqual(550);
  });

  test("of everything adds at most a fifth, and ten tries a second", async () => {
    const { ask } = await outage("backoff: 1ms", () => busy);
    const beganMs = performance.now();
    const { failed, sent } = await ask(1000);
    const seconds = (performance.now() - beganMs) / 1000;
    expect(failed).toBe(1000);
    // Those that the requests before it had saved up.
    expect(sent).toBeLessThanOrEqual(1200 + 10 * seconds + 500);
    expect(sent).toBeGreaterThanOrEqual(1190);
  });
});
