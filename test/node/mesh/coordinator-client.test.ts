import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { requestCertificate } from "../../../src/certificate-request.ts";
import { readCoordinatorUrls } from "../../../src/coordinator-client/coordinator-urls.ts";
import { readLines } from "../../../src/coordinator-client/json-lines.ts";
import { systemClock } from "../../../src/host/clock/node.ts";
import { secureFetch } from "../../../src/host/fetch/bun.ts";
import type { FeedMessage } from "../../../src/mesh.ts";
import { CoordinatorFault } from "../../../src/node/mesh/coordinator.ts";
import { CoordinatorClient } from "../../../src/node/mesh/coordinator-client.ts";
import { freePort } from "../../free-ports.ts";
import { HttpsCoordinator } from "./https-coordinator.ts";
import { instance } from "./nouns.ts";

const coordinator = await HttpsCoordinator.make();
const other = await HttpsCoordinator.make();

beforeAll(async () => {
  await coordinator.start();
  await other.start();
});
afterAll(async () => {
  await coordinator.stop();
  await other.stop();
});

const parts = { clock: systemClock, fetch: secureFetch };
const client = (...urls: string[]) => new CoordinatorClient(parts, urls);

async function joined(from = coordinator) {
  const { key, request } = await requestCertificate();
  const credentials = await client(from.url).join({ token: await from.token("payments"), request });
  return { ...credentials, key, obtainedEpochMs: Date.now() };
}

async function fault(promise: Promise<unknown>): Promise<CoordinatorFault> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CoordinatorFault);
  return error as CoordinatorFault;
}

describe("CoordinatorClient", () => {
  test("joins, and is afterwards who its certificate says", async () => {
    const own = await joined();
    expect(own.identity).toBe("spiffe://store.example/payments");
    const answer = await client(coordinator.url).lease({ node: "n", instances: [instance("a")] }, own);
    expect(answer).toEqual({ leaseMs: 10_000, renewEveryMs: 3_000 });
    expect(coordinator.bodies.at(-1)?.identity).toBe(own.identity);
    const { request } = await requestCertificate();
    expect((await client(coordinator.url).renew({ request }, own)).identity).toBe(own.identity);
  });

  test("says nothing secret to whoever has another root than the token names", async () => {
    const { request } = await requestCertificate();
    const before = other.bodies.length;
    const refused = await fault(
      client(other.url).join({ token: await coordinator.token("payments"), request }),
    );
    expect(refused.message).toContain("is not the coordinator that this token is for");
    expect(other.bodies.slice(before).map(({ path }) => path)).toEqual(["/v1/root"]);
  });

  test("after joining believes its own mesh alone", async () => {
    const own = await joined();
    const refused = await fault(client(other.url).lease({ node: "n", instances: [] }, own));
    expect(refused).toMatchObject({ reason: "unknown", again: "later" });
    expect(refused.message).toContain("is not a coordinator of this mesh");
  });

  test("passes on why it was refused; what is no token is not sent", async () => {
    const { request } = await requestCertificate();
    const used = client(coordinator.url).join({ token: await coordinator.token("nobody"), request });
    expect(await fault(used)).toMatchObject({
      reason: "token-used-up",
      message: "this token was used: create another",
      again: "never",
    });
    const before = coordinator.bodies.length;
    for (const token of ["", "nonsense", "a.b.c", `x.${Buffer.from("{}").toString("base64url")}.y`]) {
      expect((await fault(client(coordinator.url).join({ token, request }))).reason).toBe("token-invalid");
    }
    expect(coordinator.bodies.length).toBe(before);
  });

  test("goes to the next coordinator when one is away, and says where nobody is", async () => {
    const nowhere = `https://127.0.0.1:${await freePort()}`;
    const own = await joined();
    const both = client(nowhere, coordinator.url);
    expect((await both.lease({ node: "n", instances: [] }, own)).renewEveryMs).toBe(3_000);
    const away = await fault(client(nowhere).lease({ node: "n", instances: [] }, own));
    expect(away).toMatchObject({ reason: "unreachable", again: "later" });
    expect(away.message).toBe(`cannot reach the coordinator at ${nowhere}: connection refused`);
  });

  test("passes a coordinator of another mesh by for its own, and waits for its own as long as that is away", async () => {
    const { request } = await requestCertificate();
    const token = await coordinator.token("payments");
    const nowhere = `https://127.0.0.1:${await freePort()}`;
    const joining = (...urls: string[]) => client(...urls).join({ token, request });
    expect((await joining(other.url, coordinator.url)).identity).toBe("spiffe://store.example/payments");
    expect(await fault(joining(other.url, nowhere))).toMatchObject({ reason: "unreachable", again: "later" });
    expect(await fault(joining(other.url))).toMatchObject({ reason: "token-foreign", again: "elsewhere" });
  });

  test("reads a feed as it comes, until it is closed or the coordinator is gone", async () => {
    const own = await joined();
    const kinds = async (messages: AsyncIterable<FeedMessage>) => {
      const seen: string[] = [];
      for await (const message of messages) {
        seen.push(message.kind);
        if (message.kind === "live") return seen;
      }
      return seen;
    };
    const request = { node: "n", services: ["payments"], known: {} };
    const feed = await client(coordinator.url).feed(request, own);
    expect(await kinds(feed.messages)).toEqual(["mesh", "rules", "instances", "live"]);
    feed.close();
    const third = await HttpsCoordinator.make();
    await third.start();
    const member = await joined(third);
    const broken = await client(third.url).feed(request, member);
    const messages = broken.messages[Symbol.asyncIterator]();
    for (let count = 0; count < 4; count++) await messages.next();
    const next = messages.next().then(
      ({ done }) => String(done),
      (error: CoordinatorFault) => error.reason,
    );
    await third.stop();
    expect(["true", "unreachable"]).toContain(await next);
  });
});

describe("readLines", () => {
  test("puts lines together wherever they are cut, and refuses one without end", async () => {
    const text = `${JSON.stringify({ a: "ü€" })}\n${JSON.stringify({ b: 2 })}\n{"cut":`;
    for (const size of [1, 2, 3, 7, 1000]) {
      const bytes = Buffer.from(text);
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(chunk);
          controller.close();
        },
      });
      const seen: unknown[] = [];
      for await (const value of readLines({ body } as Response, () => new Error())) seen.push(value);
      expect(seen).toEqual([{ a: "ü€" }, { b: 2 }]);
    }
    const large = new Uint8Array(8 * 1024 * 1024).fill(65);
    const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(large) });
    const read = readLines({ body: endless } as Response, () => new Error());
    await expect(read.next()).rejects.toThrow("more than");
  });
});

describe("readCoordinatorUrls", () => {
  test("takes hosts with ports, with https before them or not, and nothing else", () => {
    expect(readCoordinatorUrls("https://10.0.0.1:9443, mesh.internal:9443")).toEqual([
      "https://10.0.0.1:9443",
      "https://mesh.internal:9443",
    ]);
    for (const wrong of ["http://10.0.0.1:9443", "https://h:9443/path", "", "a b"]) {
      expect(() => readCoordinatorUrls(wrong)).toThrow("wanted https://HOST:PORT");
    }
  });
});
