/** A filter that sends more than once: to whom, and what of the request. */
import { afterEach, describe, expect, test } from "bun:test";
import { host as thisHost } from "../../src/host/index.ts";
import type { SocketOwner, Sockets } from "../../src/machine.ts";
import { defineFilter, type FilterDefinition, z } from "../../src/plugin.ts";
import type { Middleware, UpstreamFilter } from "../../src/types.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { okAnswer } from "./recording-upstream.ts";
import type { GatewayText, ProxyOptions } from "./running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "./setting.ts";
import { eventually } from "./waiting.ts";

afterEach(closeAll);

const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
const host = "Host: shop.example\r\n";

async function proxyWith(
  upstream: UpstreamFilter,
  text: GatewayText,
  { middleware = (_, next) => next(), ...proxyOptions }: ProxyOptions & { middleware?: Middleware } = {},
) {
  const options = z.unknown();
  const repeating = defineFilter({
    ...{ name: "repeating", summary: "Sends as the test says", options, repeats: true },
    upstream: () => upstream,
  });
  const before = defineFilter({
    ...{ name: "before", summary: "Runs before it", options },
    middleware: () => middleware,
  });
  const filters = new Map<string, FilterDefinition>([
    ["repeating", repeating],
    ["before", before],
  ]);
  return proxyTo({ route: "        filters: [before, repeating]", ...text }, { ...proxyOptions, filters });
}

describe("a filter that sends again", () => {
  test("reaches another endpoint than the one that answered, until all were tried", async () => {
    const upstreams = [1, 2, 3].map(() => upstreamWith({ onRequest: () => busy }));
    const services = await Promise.all(upstreams);
    const thrice: UpstreamFilter = async (_, send) => {
      for (let attempt = 1; attempt <= 2; attempt++) await (await send()).body?.cancel();
      return send();
    };
    const proxy = await proxyWith(thrice, {
      ports: services.map(({ port }) => port),
      loadBalancing: "random",
    });
    const client = await caller(proxy);
    for (let request = 1; request <= 5; request++) {
      expect((await client.exchange(`GET / HTTP/1.1\r\n${host}\r\n`)).body).toBe("busy");
      expect(services.map(({ requests }) => requests.length)).toEqual([request, request, request]);
    }
  });

  const impatient: UpstreamFilter = async (_, send) => {
    for (let attempt = 1; attempt <= 2; attempt++) await send({ timeoutMs: 10 }).catch(() => null);
    return new Response("nobody");
  };

  test("reaches another endpoint than the one that did not answer in its time", async () => {
    const clock = new VirtualClock();
    const services = await Promise.all([1, 2].map(() => upstreamWith({ onRequest: () => null })));
    const ports = services.map(({ port }) => port);
    const proxy = await proxyWith(impatient, { ports, loadBalancing: "random" }, { clock });
    const client = await caller(proxy);
    const got = () => services.map(({ requests }) => requests.length);
    for (let request = 1; request <= 5; request++) {
      client.send(`GET / HTTP/1.1\r\n${host}\r\n`);
      for (const tries of [1, 2]) {
        await eventually("a try", () => got()[0]! + got()[1]! === 2 * (request - 1) + tries);
        clock.advance(10);
      }
      expect((await client.answer()).body).toBe("nobody");
      expect(got()).toEqual([request, request]);
    }
  });

  test("reaches another endpoint than the one that took no connection in its time; both are charged", async () => {
    const clock = new VirtualClock();
    const dialed: number[] = [];
    const owners: SocketOwner[] = [];
    const connect: Sockets["connect"] = (address, owner) => {
      dialed.push("port" in address ? address.port : 0);
      owners.push(owner);
      return () => {};
    };
    const text = {
      ports: [1, 2],
      loadBalancing: "random",
      service: "    outlierDetection: { consecutiveErrors: 5 }",
    };
    const proxy = await proxyWith(impatient, text, { clock, sockets: { ...thisHost.sockets, connect } });
    const client = await caller(proxy);
    for (let request = 1; request <= 5; request++) {
      client.send(`GET / HTTP/1.1\r\n${host}\r\n`);
      for (const tries of [1, 2]) {
        await eventually("a try", () => dialed.length === 2 * (request - 1) + tries);
        clock.advance(10);
      }
      expect((await client.answer()).body).toBe("nobody");
      expect(dialed.slice(-2).toSorted()).toEqual([1, 2]);
    }
    expect(proxy.endpoints.get("shop")).toMatchObject({ ejected: 0 });
    for (const owner of owners) owner.onClose({ code: "ETIMEDOUT", message: "took too long" });
    expect(proxy.endpoints.get("shop")).toMatchObject({ ejected: 1 });
  });
});

describe("a filter that sends again what got no answer in time", () => {
  const get = `GET / HTTP/1.1\r\n${host}\r\n`;
  const trying =
    (times: number): UpstreamFilter =>
    async (_, send) => {
      for (let time = 1; time < times; time++) {
        const answer = await send({ timeoutMs: 10 }).catch(() => null);
        if (answer !== null) return answer;
      }
      return send({ timeoutMs: 10 });
    };

  /** Beside the other endpoint, which never answers, one that answers but the first try of each of ten requests. */
  async function answersOf(times: number, other: "silent" | "dead"): Promise<string[]> {
    const clock = new VirtualClock();
    let unanswered = 0;
    let late = false;
    const silence = () => {
      unanswered++;
      return null;
    };
    const slow = await upstreamWith({
      onRequest() {
        if (!late) return okAnswer;
        late = false;
        return silence();
      },
    });
    const gone = await upstreamWith({ onRequest: silence });
    if (other === "dead") gone.stop();
    const ports = [gone.port, slow.port];
    const proxy = await proxyWith(trying(times), { ports, loadBalancing: "random" }, { clock });
    const client = await caller(proxy);
    const ask = async () => {
      let seen = unanswered;
      let isOver = false;
      const over = () => {
        isOver = true;
      };
      const answer = client.exchange(get);
      answer.then(over, over);
      while (!isOver) {
        await eventually("an answer, or a try without one", () => isOver || unanswered > seen);
        if (unanswered === seen) continue;
        seen = unanswered;
        clock.advance(10);
      }
      return (await answer).body;
    };
    expect(await ask()).toBe("ok");
    const answers: string[] = [];
    for (let request = 1; request <= 10; request++) {
      late = true;
      answers.push(await ask());
    }
    return answers;
  }

  test("goes back, when all were tried, to the endpoint that answers others", async () => {
    expect(await answersOf(3, "silent")).toEqual(Array(10).fill("ok"));
  });

  test("uses no try up for an endpoint that cannot be reached", async () => {
    expect(await answersOf(2, "dead")).toEqual(Array(10).fill("ok"));
  });
});

describe("call.replayable", () => {
  const replayed: UpstreamFilter = async (call, send) => {
    if (!(await call.replayable(8))) return send();
    await (await send()).body?.cancel();
    return send();
  };
  const post = (body: string) => `POST / HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n${body}`;

  const cases: Record<string, { middleware?: Middleware; sent: string; got: string[] }> = {
    "holds a body up to its bound": { sent: "12345678", got: ["12345678", "12345678"] },
    "leaves a body one byte above it on its way": { sent: "123456789", got: ["123456789"] },
    "counts the body that another filter put in place of the caller's": {
      middleware: (c, next) => {
        c.req.raw = new Request(c.req.raw, { body: "short" });
        return next();
      },
      sent: "a long one that nobody reads",
      got: ["short", "short"],
    },
    "is false for a stream that another filter made": {
      middleware: async (c, next) => {
        const body = new Blob([`${await c.req.raw.text()}!`]).stream();
        c.req.raw = new Request(c.req.raw, { body });
        await next();
      },
      sent: "once",
      got: ["once!"],
    },
  };
  for (const [name, { middleware, sent, got }] of Object.entries(cases)) {
    test(name, async () => {
      const service = await upstreamWith({ onRequest: () => okAnswer });
      const proxy = await proxyWith(
        replayed,
        { ports: [service.port] },
        middleware === undefined ? {} : { middleware },
      );
      expect((await (await caller(proxy)).exchange(post(sent))).body).toBe("ok");
      expect(service.requests.map(({ body }) => body)).toEqual(got);
    });
  }

  test("moves the deadline to a timeout after the body's last byte", async () => {
    const clock = new VirtualClock();
    const deadlines: number[] = [];
    const holding: UpstreamFilter = async (call, send) => {
      deadlines.push(call.deadline);
      await call.replayable(8);
      deadlines.push(call.deadline);
      return send();
    };
    const service = await upstreamWith();
    const proxy = await proxyWith(holding, { ports: [service.port] }, { clock });
    const client = await caller(proxy);
    client.send(`POST / HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\na`);
    await eventually("the call", () => deadlines.length === 1);
    clock.advance(700);
    client.send("b");
    expect((await client.answer()).body).toBe("ok");
    expect(deadlines).toEqual([15_000, 15_700]);
  });
});
