/** Two nodes in a row with mTLS between them, as on a mesh: the caller's (outbound) and the service's (inbound). */
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { Authority } from "../test/certificates.ts";
import { proxyCores } from "./processes.ts";
import { makeFolder, type Subject, startSubject, stopSubject, type Variant } from "./variants.ts";

/** Of all rows: what nginx and BoringSSL both choose from what is offered may differ. */
const cipher = "TLS_AES_128_GCM_SHA256";
const listenWaitMs = 10_000;
const handshakeWaitMs = 5_000;

export type PairName = "nginx" | "envoy" | "envoy, HTTP/2" | "clearway";

export interface PairKind {
  readonly name: PairName;
  readonly program: Variant;
  /** In peers/. */
  readonly outbound: string;
  readonly inbound: string;
  readonly values: Readonly<Record<string, string>>;
}

export interface Pair {
  /** Where the load goes. */
  readonly outbound: Subject;
  readonly inbound: Subject;
  /** Of the two programs; their workers descend from them. */
  readonly pids: readonly number[];
}

export interface PairSetting {
  readonly backendPort: number;
  /** A folder of `makeMeshCertificates`. */
  readonly certificates: string;
}

/** A folder with an authority, and a certificate and key of the caller's node and of the service's, all P-256. */
export async function makeMeshCertificates(): Promise<string> {
  const folder = makeFolder();
  const authority = await Authority.make("CN=bench");
  writeFileSync(join(folder, "ca.pem"), authority.certificate);
  for (const name of ["caller", "service"]) {
    const wish = { names: [`${name}.mesh`], uris: [`spiffe://bench.example/${name}`] };
    const { certificate, key } = await authority.issue(wish);
    writeFileSync(join(folder, `${name}.pem`), certificate);
    writeFileSync(join(folder, `${name}.key`), key);
  }
  return folder;
}

/** Starts both on the proxy's core and waits until both listen. Rejects when one ended or took too long. */
export async function startPair(kind: PairKind, { backendPort, certificates }: PairSetting): Promise<Pair> {
  const shared = { cores: proxyCores, values: { certificates, cipher, ...kind.values } };
  const started: Subject[] = [];
  try {
    const inbound = await startSubject(kind.program, { ...shared, backendPort, template: kind.inbound });
    started.push(inbound);
    await listening(inbound);
    const towards = { backendPort: inbound.port, template: kind.outbound };
    const outbound = await startSubject(kind.program, { ...shared, ...towards });
    started.push(outbound);
    await listening(outbound);
    return { outbound, inbound, pids: [outbound.running!.pid, inbound.running!.pid] };
  } catch (error) {
    for (const subject of started) await stopSubject(subject);
    throw error;
  }
}

export async function stopPair({ outbound, inbound }: Pair): Promise<void> {
  try {
    await stopSubject(outbound);
  } finally {
    await stopSubject(inbound);
  }
}

/** Not by a request: a node that cannot reach the other yet would remember that. */
async function listening({ port, running }: Subject): Promise<void> {
  const deadline = performance.now() + listenWaitMs;
  while (!(await accepts(port))) {
    const exit = running?.exit() ?? null;
    if (exit !== null || performance.now() > deadline)
      throw new Error(`nothing listens on ${port}: ${exit ?? "too late"}\n${running?.log() ?? ""}`);
    await sleep(10);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/**
 * What a caller with a certificate agrees on with the service's node: version and cipher. Throws an Error when a caller
 * without one is answered too.
 */
export async function checkMutualTls({ inbound }: Pair, keys: PairKeys): Promise<string> {
  const { agreed, answer } = await askOnce(inbound.port, { cert: keys.certificate, key: keys.key });
  if (!answer.includes(" 200 ")) throw new Error(`a caller with a certificate was answered "${answer}"`);
  const stranger = await askOnce(inbound.port, {}).catch(() => null);
  if (stranger?.answer.includes(" 200 ")) throw new Error("a caller without a certificate was answered");
  return agreed;
}

/** Of the caller, PEM. */
export interface PairKeys {
  readonly certificate: string;
  readonly key: string;
}

interface Asked {
  /** Version and cipher; empty when there was no handshake. */
  readonly agreed: string;
  /** The status line, or nothing. */
  readonly answer: string;
}

function askOnce(port: number, shown: { readonly cert?: string; readonly key?: string }): Promise<Asked> {
  // HTTP/1.1 also where the two nodes speak HTTP/2: nothing is offered by ALPN.
  const to = { host: "127.0.0.1", port, servername: "service.mesh", rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...to, ...shown });
    let agreed = "";
    let received = "";
    socket.setTimeout(handshakeWaitMs, () => socket.destroy(new Error(`no answer from ${port}`)));
    socket.once("secureConnect", () => {
      agreed = `${socket.getProtocol()} ${socket.getCipher().name}`;
      socket.write("GET /small HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
    });
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      if (!received.includes("\r\n")) return;
      resolve({ agreed, answer: received.slice(0, received.indexOf("\r\n")) });
      socket.end();
    });
    socket.once("error", reject);
    socket.once("close", () => resolve({ agreed, answer: "" }));
  });
}
