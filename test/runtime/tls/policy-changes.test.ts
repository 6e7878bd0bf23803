/** What is under way when the rules change: what they no longer allow ends, all else goes on. */
import { afterEach, describe, expect, test } from "bun:test";
import { statusOf } from "../messages.ts";
import type { RecordedConnection, RecordingUpstream, UpstreamScript } from "../recording-upstream.ts";
import type { RunningProxy } from "../running-proxy.ts";
import { closeAll, upstreamWith } from "../setting.ts";
import { identityOf, type MeshNode, memberOf, meshNode } from "./meshed.ts";
import { shown } from "./secured.ts";
import { TlsCaller } from "./tls-caller.ts";

afterEach(closeAll);

const [storefront, orders] = [await memberOf("storefront"), await memberOf("orders")];
const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";
const upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";

function policy(...callers: readonly string[]): string {
  const rules = callers.map((from) => `{ from: ${from}, method: GET, path: /long/* }`);
  return `    filters: [{ policy: { trustDomain: store.example, allow: [${rules.join(", ")}] } }]`;
}

/** Answers that do not end: a stream under /long/stream, another protocol under /long/chat. */
const endless: UpstreamScript = {
  onRequest(request, connection: RecordedConnection) {
    if (!request.start.includes("chat")) return request.start.includes("stream") ? chunked : null;
    connection.reading = "bytes";
    return upgraded;
  },
};

interface Long extends MeshNode {
  readonly upstream: RecordingUpstream;
  open(who: typeof storefront, what: "stream" | "chat"): Promise<TlsCaller>;
}

async function node(callers: readonly string[], removed: readonly string[] = []): Promise<Long> {
  const upstream = await upstreamWith(endless);
  const made = await meshNode([upstream.port], { listener: policy(...callers), removed });
  return {
    ...made,
    upstream,
    async open(who, what) {
      const client = await TlsCaller.open(made.proxy.port(), shown(who));
      const upgrade = what === "chat" ? "Connection: Upgrade\r\nUpgrade: chat\r\n" : "";
      client.send(`GET /long/${what} HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`);
      if (what === "chat") expect(statusOf(await client.answer())).toBe(101);
      else await client.until("a first chunk", () => (client.received.includes("hi") ? true : null));
      return client;
    },
  };
}

describe("rules that change", () => {
  for (const what of ["stream", "chat"] as const) {
    test(`end a ${what} that they no longer allow, and no other`, async () => {
      const { proxy, apply, open } = await node(["storefront", "orders"]);
      const [ended, going] = [await open(storefront, what), await open(orders, what)];
      await apply({ listener: policy("orders") });
      await ended.ended();
      expect(proxy.measured.at(-1)).toMatchObject({ method: "GET", reason: "policy-changed" });
      expect(proxy.log.at(-1)).toMatchObject({
        message: "ended what was under way: the filter policy does not allow it any more",
        fields: { caller: identityOf("storefront"), method: "GET", path: `/long/${what}` },
      });
      await apply({ listener: policy("orders", "products") });
      expect(going.peer).toBe("open");
      expect(proxy.measured).toHaveLength(1);
    });

    test(`end a ${what} of a service that was removed`, async () => {
      const { proxy, apply, open } = await node(["storefront", "orders"]);
      const [ended, going] = [await open(storefront, what), await open(orders, what)];
      await apply({ removed: [identityOf("storefront")] });
      await ended.ended();
      expect(proxy.measured.at(-1)!.reason).toBe("policy-changed");
      expect(proxy.log.at(-1)!.message).toContain("its service was removed from the mesh");
      expect(going.peer).toBe("open");
    });
  }

  test("end what they no longer allow where the policy stands on the only route, as in a sidecar", async () => {
    const upstream = await upstreamWith(endless);
    const { proxy, apply } = await meshNode([upstream.port], { route: `    ${policy("storefront")}` });
    const client = await streaming(proxy, "/long/stream");
    await apply({ route: `    ${policy("orders")}` });
    await client.ended();
    expect(proxy.measured.at(-1)!.reason).toBe("policy-changed");
  });

  test("end what they no longer allow on one of several routes, and nothing on the others", async () => {
    const upstream = await upstreamWith(endless);
    const free = "\n      - match: { path: /free/* }\n        to: shop";
    const { proxy, apply } = await meshNode([upstream.port], { route: `    ${policy("storefront")}${free}` });
    const [ended, going] = [await streaming(proxy, "/long/stream"), await streaming(proxy, "/free/stream")];
    await apply({ route: `    ${policy("orders")}${free}` });
    await ended.ended();
    expect(proxy.measured).toMatchObject([{ route: "*", reason: "policy-changed" }]);
    expect(going.peer).toBe("open");
  });

  test("judge by the route that takes such a request now, also where there was no policy before", async () => {
    const upstream = await upstreamWith(endless);
    const { proxy, apply } = await meshNode([upstream.port], { callers: "anyone" });
    const [ended, going] = [await streaming(proxy, "/long/stream"), await streaming(proxy, "/free/stream")];
    await apply({ route: `      - match: { path: /long/* }\n        to: shop\n    ${policy("orders")}` });
    await ended.ended();
    expect(proxy.measured).toMatchObject([{ route: "*", reason: "policy-changed" }]);
    expect(going.peer).toBe("open");
  });

  test("judge what began under rules of before by the newest, whichever came between", async () => {
    const { apply, open } = await node(["storefront"]);
    const client = await open(storefront, "chat");
    for (let count = 0; count < 3; count++) await apply({ listener: policy("storefront", "orders") });
    expect(client.peer).toBe("open");
    await apply({ listener: policy() });
    await client.ended();
  });

  test("let a request be that waits for its answer, but not the stream that this becomes", async () => {
    const { proxy, apply, upstream } = await node(["storefront"]);
    const [one, other] = [await waiting(proxy), await waiting(proxy)];
    await upstream.until("both requests", () => (upstream.requests.length === 2 ? true : null));
    await apply({ listener: policy() });
    upstream.connections[0]!.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    upstream.connections[1]!.send(chunked);
    const answered = await Promise.race([one.answer().then(() => one), other.answer().then(() => other)]);
    expect(statusOf(await answered.exchange("GET /long/stream HTTP/1.1\r\nHost: a\r\n\r\n"))).toBe(403);
    await (answered === one ? other : one).ended();
    expect(proxy.measured.map(({ status, reason }) => `${status} ${reason}`).toSorted()).toEqual([
      "200 ",
      "200 policy-changed",
      "403 policy-denied",
    ]);
  });
});

/** A caller that reads an answer which does not end. */
async function streaming(proxy: RunningProxy, path: string): Promise<TlsCaller> {
  const client = await TlsCaller.open(proxy.port(), shown(storefront));
  client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.until("a first chunk", () => (client.received.includes("hi") ? true : null));
  return client;
}

/** A caller whose request the service has not answered. */
async function waiting(proxy: RunningProxy): Promise<TlsCaller> {
  const client = await TlsCaller.open(proxy.port(), shown(storefront));
  client.send("GET /long/silent HTTP/1.1\r\nHost: a\r\n\r\n");
  return client;
}
