/** A service that must have one identity: nobody else is sent a byte of a request. */
import { afterEach, describe, expect, test } from "bun:test";
import type { TlsOptions } from "node:tls";
import { systemClock } from "../../../src/host/clock/node.ts";
import type { Clock } from "../../../src/machine.ts";
import type { Snapshot } from "../../../src/snapshot.ts";
import type { Pair } from "../../certificates.ts";
import { statusOf, values } from "../messages.ts";
import { okAnswer, type UpstreamScript } from "../recording-upstream.ts";
import type { RunningProxy } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { identityOf, memberOf, meshFiles, rogues } from "./meshed.ts";
import { shown } from "./secured.ts";
import { get } from "./tls-caller.ts";

afterEach(closeAll);

const ok: UpstreamScript = { onRequest: () => okAnswer };
const right = await memberOf("orders");
const wrong = [
  ...(await rogues("orders")),
  // It is orders.mesh by its name, as somebody might be given it by mistake.
  [
    "a certificate of another service",
    await memberOf("products", { names: ["orders.mesh"] }),
    `its certificate is for "${identityOf("products")}", not ${identityOf("orders")}`,
  ] as const,
];
const tries = 100;
const tls =
  "    tls: { ca: mesh.pem, serverName: orders.mesh, certificate: payments.pem, key: payments.key }";

const change = (snapshot: Snapshot): Snapshot => ({
  ...snapshot,
  services: snapshot.services.map((each) => ({
    ...each,
    tls: each.tls === null ? null : { ...each.tls, identity: identityOf("orders") },
  })),
});

function callingOrders(ports: readonly number[], clock: Clock = systemClock): Promise<RunningProxy> {
  return proxyTo({ ports, service: tls }, { clock, change, files: meshFiles });
}

function service(pair: Pair, more: TlsOptions = {}) {
  return upstreamWith(ok, { ...shown(pair), ...more });
}

describe("a service with an identity", () => {
  for (const [what, pair, words] of wrong) {
    test(`is not one with ${what}, ${tries} times of ${tries}`, async () => {
      const upstream = await service(pair);
      const proxy = await callingOrders([upstream.port]);
      const client = await caller(proxy);
      for (let count = 0; count < tries; count++) {
        const answer = await client.exchange(get);
        expect([statusOf(answer), values(answer, "x-clearway-reason")]).toEqual([
          503,
          ["no-healthy-endpoint"],
        ]);
      }
      expect(upstream.requests).toEqual([]);
      for (const connection of upstream.connections) expect(connection.received).toBe("");
      expect(proxy.log[0]!.message).toContain(words);
    });
  }

  test(`is one with a right certificate, ${tries} times of ${tries}`, async () => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const upstream = await service(right, { maxVersion });
      const client = await caller(await callingOrders([upstream.port]));
      for (let count = 0; count < tries; count++) expect(statusOf(await client.exchange(get))).toBe(200);
    }
  });

  test("is looked for at another endpoint when one has another identity: no request fails", async () => {
    const [, another] = wrong.at(-1)!;
    const [bad, good] = [await service(another), await service(right)];
    const client = await caller(await callingOrders([bad.port, good.port]));
    for (let count = 0; count < 20; count++) {
      expect(statusOf(await client.exchange(get.replace("GET", "POST")))).toBe(200);
    }
    expect([bad.requests.length, good.requests.length]).toEqual([0, 20]);
  });

  test("gets no further request on a connection whose certificate has ended", async () => {
    let laterMs = 0;
    const clock = { ...systemClock, epochMs: () => Date.now() + laterMs };
    const upstream = await service(await memberOf("orders", { endsDays: 1 }));
    const client = await caller(await callingOrders([upstream.port], clock));
    for (let count = 0; count < 2; count++) expect(statusOf(await client.exchange(get))).toBe(200);
    expect(upstream.connections).toHaveLength(1);
    laterMs = 25 * 3_600_000;
    // By the system's clock, which judges handshakes, the certificate still holds.
    expect(statusOf(await client.exchange(get))).toBe(200);
    expect(upstream.connections).toHaveLength(2);
    expect(upstream.connections[0]!.requests).toHaveLength(2);
  });
});
