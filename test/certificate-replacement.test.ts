/**
 * Certificates replaced again and again under load, through the real program: no request fails, and every handshake
 * that begins after a replacement is live gets the new one. CLEARWAY_REPLACEMENTS=100 does it that often and says what
 * it counted.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { startLoad } from "../bench/load.ts";
import { Authority, type Pair } from "./certificates.ts";
import { freePorts } from "./free-ports.ts";
import { answers, type Running, startClearway, until } from "./program.ts";

const replacements = Number(process.env.CLEARWAY_REPLACEMENTS ?? 20);
const workers = 2;
const authority = await Authority.make();
const tls = { ca: authority.certificate, servername: "shop.example" };
const body = "a small body of some bytes\n";
const request = "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
/** Handshakes in a row that get the new certificate: no worker has an older one then. */
const convincing = 8;

let folder: string;
let running: Running;
let web: number;
let admin: number;

function issue(round: number): Promise<Pair> {
  return authority.issue({ names: ["shop.example", `round-${round}.example`] });
}

/** As a program that renews certificates does: a new file takes the old one's place. */
async function replace(name: string, text: string): Promise<void> {
  const path = join(folder, name);
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

/** As an editor or a copy does: at some moment the file is empty, or half. */
async function overwrite(name: string, text: string): Promise<void> {
  await writeFile(join(folder, name), text);
}

const ways = [
  async ({ certificate, key }: Pair) => {
    await replace("cert.pem", certificate);
    await replace("key.pem", key);
  },
  async ({ certificate, key }: Pair) => {
    await overwrite("key.pem", key);
    await overwrite("cert.pem", certificate);
  },
  async ({ certificate, key }: Pair) => {
    // Long enough for the half of it to be read, and refused.
    await replace("cert.pem", certificate);
    await Bun.sleep(200);
    await overwrite("key.pem", key);
  },
];

/** The round of the certificate that one new connection was shown, after one request over it was answered. */
async function visit(session?: Buffer): Promise<{ round: number; session: Buffer | null; resumed: boolean }> {
  const socket: TLSSocket = connect({
    ...tls,
    host: "127.0.0.1",
    port: web,
    ...(session ? { session } : {}),
  });
  let received = "";
  let offered: Buffer | null = null;
  socket.on("session", (each: Buffer) => {
    offered = each;
  });
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
  });
  let names = "";
  let resumed = false;
  socket.once("secureConnect", () => {
    names = socket.getPeerX509Certificate()?.subjectAltName ?? "";
    resumed = socket.isSessionReused();
    socket.write(request);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", resolve);
  });
  if (!received.startsWith("HTTP/1.1 200 ") || !received.endsWith(body)) {
    throw new Error(`not the answer: ${JSON.stringify(received)}`);
  }
  return { round: Number(/round-(\d+)/.exec(names)?.[1]), session: offered, resumed };
}

/** Connections that come one after the other, some of them resuming what the last one left. */
function keepVisiting() {
  const failures: string[] = [];
  let count = 0;
  let resumed = 0;
  let stopped = false;
  const loop = async (resuming: "yes" | "no") => {
    let session: Buffer | null = null;
    while (!stopped) {
      try {
        const seen = await visit(session ?? undefined);
        count++;
        if (seen.resumed) resumed++;
        session = resuming === "yes" ? seen.session : null;
      } catch (error) {
        failures.push(String(error));
        session = null;
      }
    }
  };
  const loops = [loop("no"), loop("no"), loop("yes"), loop("yes")];
  return {
    async stop() {
      stopped = true;
      await Promise.all(loops);
      return { count, resumed, failures };
    },
  };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-certificates-"));
  const first = await issue(0);
  await overwrite("cert.pem", first.certificate);
  await overwrite("key.pem", first.key);
  [web, admin] = (await freePorts(2)) as [number, number];
  await overwrite(
    "clearway.yaml",
    `admin: 127.0.0.1:${admin}
listeners:
  web:
    bind: 127.0.0.1:${web}
    protocol: https
    tls: [{ certificate: cert.pem, key: key.pem }]
    routes: [{ respond: { body: ${JSON.stringify(body)} } }]
`,
  );
  running = startClearway(["run", "-c", join(folder, "clearway.yaml"), "--workers", String(workers)]);
  await answers(`http://127.0.0.1:${admin}/readyz`, running);
});

afterAll(async () => {
  await running?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function metric(pattern: RegExp): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  return Number(pattern.exec(text)?.[1] ?? 0);
}

test(`run: ${replacements} replaced certificates under load fail no request, and each is shown`, async () => {
  const kept = startLoad({
    port: web,
    path: "/",
    connections: 16,
    requestsPerSecond: null,
    wanted: { status: 200, body: Buffer.from(body) },
    tls,
  });
  const coming = keepVisiting();
  for (let round = 1; round <= replacements; round++) {
    await ways[round % ways.length]!(await issue(round));
    let inRow = 0;
    await until(
      async () => {
        inRow = (await visit()).round === round ? inRow + 1 : 0;
        return inRow;
      },
      (seen) => seen >= convincing,
    );
  }
  const came = await coming.stop();
  const { succeeded, failed, closedByPeer, examples } = await kept.stop();
  const applied = await metric(/clearway_reloads_total\{result="applied"\} (\d+)/);
  const refused = await metric(/clearway_reloads_total\{result="refused"\} (\d+)/);
  const counted = { replacements, applied, refused, kept: succeeded, failed, closedByPeer, ...came };
  if (process.env.CLEARWAY_REPLACEMENTS !== undefined) console.log(JSON.stringify(counted));
  expect(examples).toEqual([]);
  expect(came.failures).toEqual([]);
  expect({ failed, closedByPeer }).toEqual({ failed: 0, closedByPeer: 0 });
  expect(applied).toBeGreaterThanOrEqual(replacements);
  expect(came.resumed).toBeGreaterThan(0);
  expect(await metric(/clearway_tls_handshake_failures_total\{listener="web"\} (\d+)/)).toBe(0);
}, 600_000);
