/** Many requests at once for a service with TLS to which there are no connections yet. */
import { afterEach, describe, expect, test } from "bun:test";
import { host } from "../../../src/host/index.ts";
import type { SocketOwner, Sockets } from "../../../src/machine.ts";
import { statusOf, values } from "../messages.ts";
import { okAnswer, type UpstreamScript } from "../recording-upstream.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";
import { files, shop, shown } from "./secured.ts";
import { get } from "./tls-caller.ts";

afterEach(closeAll);

const handshakesMax = 32;
const burst = 40;
const ok: UpstreamScript = { onRequest: () => okAnswer };
const believing = "    tls: { ca: servers.pem, serverName: shop.example }";

/** Connections to services that begin when the test says so. */
class HeldDials {
  readonly dials: { readonly owner: SocketOwner; begin(): void }[] = [];
  readonly sockets: Sockets = {
    ...host.sockets,
    connect: (address, owner, ...tls) => {
      let giveUp = () => {};
      const begin = () => {
        giveUp = host.sockets.connect(address, owner, ...tls);
      };
      this.dials.push({ owner, begin });
      return () => giveUp();
    },
  };
}

async function bursting(service: string) {
  const held = new HeldDials();
  const upstream = await upstreamWith(ok, service === "" ? undefined : shown(shop));
  const proxy = await proxyTo({ ports: [upstream.port], service }, { files, sockets: held.sockets });
  const callers = await Promise.all(Array.from({ length: burst }, () => caller(proxy)));
  for (const client of callers) client.send(get);
  const [state] = proxy.runtime.report().services;
  expect(state).toBeDefined();
  await eventually("all requests to be under way", () => {
    const { dials } = held;
    return dials.length + proxy.runtime.report().services[0]!.waiting === burst;
  });
  return { ...held, dials: held.dials, upstream, proxy, callers };
}

describe("a burst of requests to a service with TLS", () => {
  test("makes so many handshakes at a time, and the others take what is given back", async () => {
    const { dials, upstream, callers } = await bursting(believing);
    expect(dials).toHaveLength(handshakesMax);
    dials[7]!.begin();
    const answers = await Promise.all(callers.map((client) => client.answer()));
    expect(answers.map(statusOf)).toEqual(Array(burst).fill(200));
    // Nobody was left waiting for a handshake of its own.
    expect(upstream.connections).toHaveLength(1);
    expect(upstream.requests).toHaveLength(burst);
    for (const { begin } of dials) if (upstream.connections.length < 3) begin();
    await eventually("spare connections", () => upstream.connections.length >= 3);
    expect(statusOf(await callers[0]!.exchange(get))).toBe(200);
  });

  test("goes on after handshakes that failed, to the last in line", async () => {
    const { dials, callers } = await bursting(believing);
    for (let index = 0; index < burst; index++) {
      await eventually(`dial ${index}`, () => dials.length > index);
      dials[index]!.owner.onClose({ code: "ETLS", message: "its certificate is not believed" });
    }
    const answers = await Promise.all(callers.map((client) => client.answer()));
    expect(answers.map((answer) => values(answer, "x-clearway-reason").join())).toEqual(
      Array(burst).fill("no-healthy-endpoint"),
    );
    expect(dials).toHaveLength(burst);
  });

  test("asks nothing for callers that left the line", async () => {
    const { dials, callers, upstream, proxy } = await bursting(believing);
    const [first, ...others] = callers;
    for (const client of others) client.close();
    await eventually("their end", () => proxy.open.downstream === 1);
    for (const { begin } of [...dials]) begin();
    expect(statusOf(await first!.answer())).toBe(200);
    expect(upstream.requests).toHaveLength(1);
    expect(proxy.runtime.report().services[0]!.waiting).toBe(0);
  });

  test("without TLS makes a connection for each", async () => {
    const { dials, callers } = await bursting("");
    expect(dials).toHaveLength(burst);
    for (const { begin } of dials) begin();
    for (const client of callers) expect(statusOf(await client.answer())).toBe(200);
  });
});
