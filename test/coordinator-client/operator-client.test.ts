import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { requestCertificate } from "../../src/certificate-request.ts";
import { defaultLimits } from "../../src/config/limits.ts";
import { Authority } from "../../src/coordinator/identity/authority.ts";
import { Tokens } from "../../src/coordinator/identity/tokens.ts";
import { MemoryStore } from "../../src/coordinator/store/memory.ts";
import { CoordinatorFault } from "../../src/coordinator-client/coordinator-fault.ts";
import { OperatorClient } from "../../src/coordinator-client/operator-client.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { secureFetch } from "../../src/host/fetch/bun.ts";
import { systemRandom } from "../../src/host/random/node.ts";
import { bunSockets } from "../../src/host/sockets/bun.ts";
import { serveApp } from "../../src/runtime/app-listener.ts";
import { Recorders } from "../../src/testing/recorders.ts";
import { freePort } from "../free-ports.ts";
import { VirtualClock } from "../virtual-clock.ts";

const { log } = new Recorders(() => {});
const random = systemRandom();
const running: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const stop of running) await stop();
});

interface Seen {
  readonly path: string;
  readonly token: string | null;
}

interface Mesh {
  readonly authority: Authority;
  readonly tokens: Tokens;
}

async function makeMesh(): Promise<Mesh> {
  const parts = { store: new MemoryStore(), clock: systemClock, random };
  const authority = await Authority.open({ ...parts, log, given: null });
  const { rootFingerprint } = authority;
  return { authority, tokens: await Tokens.open({ ...parts, rootFingerprint }) };
}

/** Shows a certificate of this mesh, and says that these are its roots. */
async function serve({ authority }: Mesh, roots: string, answer?: (request: Request) => Promise<Response>) {
  const { certificate, key } = await authority.issueServer({ dns: ["localhost"], addresses: ["127.0.0.1"] });
  const seen: Seen[] = [];
  const options = {
    name: "coordinator",
    address: { host: "127.0.0.1", port: 0 },
    limits: defaultLimits,
    tls: { certificate, key, clientCa: null, clientAuth: "required" as const, versionMin: "1.2" as const },
  };
  const listener = await serveApp({ sockets: bunSockets, clock: systemClock, log }, options, (request) => {
    const path = new URL(request.url).pathname;
    seen.push({ path, token: request.headers.get("authorization") });
    if (path === "/v1/root") return Response.json({ roots, trustDomain: "store.example" });
    return answer?.(request) ?? Response.json({ hello: "operator" });
  });
  running.push(() => listener.drain(0));
  return { url: `https://127.0.0.1:${(listener.address as { port: number }).port}`, seen };
}

const clientOf = (token: string, ...urls: string[]) =>
  new OperatorClient({ clock: systemClock, fetch: secureFetch }, { urls, token });

async function faultOf(work: Promise<unknown>): Promise<CoordinatorFault> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CoordinatorFault);
  return error as CoordinatorFault;
}

const mesh = await makeMesh();
const other = await makeMesh();
const token = await mesh.tokens.createOperator("maria");

describe("operator's client", () => {
  afterEach(() => {
    for (const name of ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy"]) delete process.env[name];
  });

  test("proves whom it talks to before it says its token", async () => {
    const { url, seen } = await serve(mesh, mesh.authority.roots);
    const client = clientOf(token, url);
    expect(await client.get<{ hello: string }>("/v1/versions")).toEqual({ hello: "operator" });
    await client.post("/v1/tokens", { service: "payments" });
    expect(seen).toEqual([
      { path: "/v1/root", token: null },
      { path: "/v1/versions", token: `Bearer ${token}` },
      { path: "/v1/tokens", token: `Bearer ${token}` },
    ]);
  });

  test("says nothing to a coordinator of another mesh", async () => {
    const { url, seen } = await serve(other, other.authority.roots);
    const { reason, message } = await faultOf(clientOf(token, url).get("/v1/versions"));
    expect(reason).toBe("token-foreign");
    expect(message).toContain(`${url} is not the coordinator that this token is for`);
    expect(seen.map(({ path }) => path)).toEqual(["/v1/root"]);
  });

  test("says nothing to somebody else who knows the mesh's root certificate, however often he answers", async () => {
    const { url, seen } = await serve(other, mesh.authority.roots);
    const client = clientOf(token, url);
    for (let round = 0; round < 20; round += 1) {
      const { reason, message } = await faultOf(client.post("/v1/tokens", { service: "payments" }));
      expect([reason, message]).toEqual([
        "unknown",
        expect.stringContaining("its certificate is not believed"),
      ]);
    }
    expect(seen.filter(({ path, token }) => path !== "/v1/root" || token !== null)).toEqual([]);
  });

  test("says nothing to a node of its own mesh that answers for the coordinator", async () => {
    const { key, request } = await requestCertificate();
    const identity = { trustDomain: "store.example", service: "payments" };
    const leaf = await mesh.authority.issue(await mesh.authority.accept(request), { identity, node: null });
    const impostor = {
      authority: { issueServer: async () => ({ ...leaf, key }) } as unknown as Authority,
      tokens: mesh.tokens,
    };
    const { url, seen } = await serve(impostor, mesh.authority.roots);
    const { reason, message } = await faultOf(clientOf(token, url).get("/v1/versions"));
    expect([reason, message]).toEqual(["unknown", expect.stringContaining("ALTNAME")]);
    expect(seen.map(({ path }) => path)).toEqual(["/v1/root"]);
  });

  test("obeys no proxy variable", async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    for (const name of ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy"]) process.env[name] = nobody;
    const { url } = await serve(mesh, mesh.authority.roots);
    expect(await clientOf(token, url).get<object>("/v1/versions")).toEqual({ hello: "operator" });
  });

  test("goes on to the next coordinator, and passes on why one refused", async () => {
    const refusing = async () =>
      Response.json({ reason: "version-conflict", message: "version 7 holds by now" }, { status: 409 });
    const first = `https://127.0.0.1:${await freePort()}`;
    const { url } = await serve(mesh, mesh.authority.roots, refusing);
    const fault = await faultOf(clientOf(token, first, url).put("/v1/document", {}));
    expect([fault.reason, fault.message, fault.again]).toEqual([
      "version-conflict",
      "version 7 holds by now",
      "never",
    ]);
    const away = await faultOf(clientOf(token, first).get("/v1/versions"));
    expect([away.reason, away.message]).toEqual([
      "unreachable",
      `cannot reach the coordinator at ${first}: connection refused`,
    ]);
  });

  test("says in words that what answers is no coordinator, or none at all", async () => {
    const plain = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") });
    running.push(() => plain.stop(true));
    const noTls = await faultOf(clientOf(token, `https://127.0.0.1:${plain.port}`).get("/v1/versions"));
    expect(noTls.message).toContain("what answers there speaks no TLS");
    const strange = await serve(
      mesh,
      mesh.authority.roots,
      async () => new Response("hello", { status: 418 }),
    );
    const fault = await faultOf(clientOf(token, strange.url).get("/v1/versions"));
    expect(fault.message).toContain("answers with 418, and not as a coordinator does");
    const { message } = await faultOf(clientOf("hello", strange.url).get("/v1/versions"));
    expect(message).toContain("no operator's token");
  });

  test("says in words why nobody can be reached, and not in the runtime's", async () => {
    const words = {
      ENETUNREACH: "there is no way to its host",
      EHOSTUNREACH: "there is no way to its host",
      ENOTFOUND: "its name has no address",
      EAI_AGAIN: "its name cannot be looked up now",
    };
    for (const [code, why] of Object.entries(words)) {
      const fetch = async () => {
        throw Object.assign(new TypeError(`${code}: Was there a typo in the url or port?`), { code });
      };
      const client = new OperatorClient({ clock: systemClock, fetch }, { urls: ["https://a:1"], token });
      const { message } = await faultOf(client.get("/v1/versions"));
      expect(message).toBe(`cannot reach the coordinator at https://a:1: ${why}`);
    }
  });

  test("passes on no word of who has not proved to be the coordinator, and says what answers there", async () => {
    const clearScreen = "\u001b[2J";
    const answers = [
      [200, "<html></html>", "with what is no JSON"],
      [200, "{}", "without a root certificate"],
      [403, JSON.stringify({ reason: "token-expired", message: clearScreen }), "with 403"],
    ] as const;
    const { certificate: cert, key } = await mesh.authority.issueServer({
      dns: [],
      addresses: ["127.0.0.1"],
    });
    for (const [status, text, how] of answers) {
      const page = createServer({ cert, key }, (_, response) => response.writeHead(status).end(text));
      await new Promise<void>((resolve) => page.listen(0, "127.0.0.1", resolve));
      running.push(async () => page.closeAllConnections());
      const url = `https://127.0.0.1:${(page.address() as AddressInfo).port}`;
      const { reason, message, again } = await faultOf(clientOf(token, url).get("/v1/versions"));
      expect({ reason, message, again }).toEqual({
        ...{ reason: "unknown", again: "later" },
        message: `${url} answers ${how}, and not as a coordinator does`,
      });
      page.close();
    }
  });

  test("waits for an answer no longer than it may", async () => {
    const clock = new VirtualClock();
    const asked = Promise.withResolvers<void>();
    const { url } = await serve(mesh, mesh.authority.roots, () => {
      asked.resolve();
      return new Promise(() => {});
    });
    const client = new OperatorClient({ clock, fetch: secureFetch }, { urls: [url], token });
    const fault = faultOf(client.get("/v1/versions"));
    await asked.promise;
    clock.advance(30_000);
    expect((await fault).message).toBe(`cannot reach the coordinator at ${url}: no answer in 30 s`);
  });
});
