/** The coordinator behind our own listener, with TLS: who a node is, and a feed over a real connection. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/host/clock/node.ts";
import type { FeedMessage, LeaseAnswer } from "../../src/mesh.ts";
import type { AppListener } from "../../src/runtime/app-listener.ts";
import { until } from "../program.ts";
import { instance } from "./mesh-documents.ts";
import {
  issued,
  type NodeCredentials,
  type OpenedCoordinator,
  openCoordinator,
  served,
} from "./running-coordinator.ts";

let opened: OpenedCoordinator;
let listener: AppListener;
let url: string;

beforeEach(async () => {
  opened = await openCoordinator(systemClock);
  ({ listener, url } = await served(opened));
});

afterEach(async () => {
  await opened.coordinator.close();
  await listener.drain(1000);
});

function ask(
  path: string,
  body: unknown,
  as: NodeCredentials | null,
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(url + path, {
    method: "POST",
    body: JSON.stringify(body),
    tls: { ca: opened.authority.roots, ...(as !== null && { cert: as.certificate, key: as.key }) },
    ...(signal !== undefined && { signal }),
  });
}

const lease = (...ids: string[]) => ({ node: "n", instances: ids.map((id) => instance(id, "payments")) });

describe("over TLS", () => {
  test("a node is who its certificate says", async () => {
    const payments = await issued(opened, "payments");
    const answer = await ask("/v1/leases", lease("p1"), payments);
    expect((await answer.json()) as LeaseAnswer).toEqual({ leaseMs: 10_000, renewEveryMs: 3000 });
    expect((await ask("/v1/leases", lease("p1"), null)).status).toBe(401);
    expect((await ask("/v1/leases", lease("p1"), await issued(opened, "accounts"))).status).toBe(403);
  });

  test("a certificate of another mesh gets nothing, 100 times of 100", async () => {
    const other = await openCoordinator(systemClock);
    const rogue = await issued(other, "payments");
    for (let at = 0; at < 100; at++) {
      const answer = await ask("/v1/leases", lease("p1"), rogue).catch(() => null);
      expect(answer?.headers.get("x-clearway-reason") ?? "no connection").toBe("certificate-not-believed");
    }
    expect((await ask("/v1/leases", lease("p1"), await issued(opened, "payments"))).status).toBe(200);
    await other.coordinator.close();
  });

  test("the feed tells within a second, and a node that goes is noticed", async () => {
    const leaving = new AbortController();
    const wanted = { node: "n", services: ["payments"], known: {} };
    const answer = await ask("/v1/feed", wanted, await issued(opened, "storefront"), leaving.signal);
    const messages: FeedMessage[] = [];
    const reading = readLines(answer, messages);
    await until(() => messages.some(({ kind }) => kind === "live"), Boolean);
    const startedAtMs = performance.now();
    await ask("/v1/leases", lease("p1"), await issued(opened, "payments"));
    await until(() => messages.some(({ kind }) => kind === "changed"), Boolean);
    expect(performance.now() - startedAtMs).toBeLessThan(1000);
    leaving.abort();
    await reading;
    const metrics = async () =>
      (await fetch(`${url}/metrics`, { tls: { ca: opened.authority.roots } })).text();
    const gone = async () => (await metrics()).includes("clearway_coordinator_subscribers 0\n");
    while (!(await gone()));
  });

  test("a feed ends with the coordinator, in order", async () => {
    const wanted = { node: "n", services: ["payments"], known: {} };
    const answer = await ask("/v1/feed", wanted, await issued(opened, "storefront"));
    const messages: FeedMessage[] = [];
    const reading = readLines(answer, messages);
    await until(() => messages.some(({ kind }) => kind === "live"), Boolean);
    await opened.coordinator.close();
    expect(await reading).toBe("ended");
  });
});

async function readLines(answer: Response, messages: FeedMessage[]): Promise<"ended" | "broken"> {
  let rest = "";
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "ended";
      const lines = (rest + value).split("\n");
      rest = lines.pop()!;
      for (const line of lines) messages.push(JSON.parse(line) as FeedMessage);
    }
  } catch {
    return "broken";
  }
}
