/** Does a variant do the work, all of it, before its figures count? */
import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bodyBytes, bodyOf, type Subject, smallBody, type Variant } from "./variants.ts";

/** A request's head is added to what an upload counts. */
const headBytesMax = 2048;
const answerWaitMs = 5_000;
const logWaitMs = 2_000;
const logPollMs = 100;

export interface CheckedPath {
  readonly path: string;
  /** 0 for a GET. */
  readonly uploadBytes: number;
  /** That the variant wants of its callers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** In a row; one when not given. Each tells the next one who called it. */
  readonly proxies?: 1 | 2;
}

/** Throws an Error that says what was wanted and what came. */
export async function checkWork(variant: Variant, subject: Subject, work: CheckedPath): Promise<void> {
  const { origin } = subject;
  const { headers = {}, proxies = 1 } = work;
  const answer = await ask(`${origin}${work.path}`, work.uploadBytes, headers);
  if (answer.headers.get("x-backend") !== "bench") {
    throw new Error(`${variant.name}: the answer did not come from the backend: x-backend is missing`);
  }
  checkBody(variant, work, answer.body);
  if (variant.template !== null) {
    const { body } = await ask(`${origin}/forwarded`, 0, headers);
    const callers = body.toString().split(/, ?/);
    // Envoy tells the machine's first address in the place of a loopback one.
    const told = callers.map((each) => (variant.name === "envoy" && isIP(each) !== 0 ? "127.0.0.1" : each));
    const wanted = Array(proxies).fill("127.0.0.1").join(", ");
    expect(`${variant.name}: x-forwarded-for at the backend`, told.join(", "), wanted);
  }
  if (variant.name === "clearway, 3 filters") await checkFilters(subject, answer.headers);
}

async function ask(
  url: string,
  uploadBytes: number,
  headers: Readonly<Record<string, string>>,
): Promise<{ headers: Headers; body: Buffer }> {
  const upload = uploadBytes > 0 ? { method: "POST", body: Buffer.alloc(uploadBytes, "x") } : {};
  const answer = await fetch(url, {
    ...upload,
    headers,
    keepalive: false,
    signal: AbortSignal.timeout(answerWaitMs),
    tls: { rejectUnauthorized: false },
  });
  expect(`status of ${url}`, String(answer.status), "200");
  const body = await answer.arrayBuffer().catch((error: Error) => {
    throw new Error(`no whole body from ${url}: ${error.message}`);
  });
  return { headers: answer.headers, body: Buffer.from(body) };
}

function checkBody(variant: Variant, work: CheckedPath, body: Buffer): void {
  if (work.uploadBytes > 0) {
    const extra = Number(body.toString()) - work.uploadBytes;
    if (!(extra > 0 && extra < headBytesMax)) {
      throw new Error(
        `${variant.name}: the backend received "${body}" bytes, wanted ${work.uploadBytes} and a head`,
      );
    }
    return;
  }
  const name = work.path.slice(work.path.lastIndexOf("/") + 1) as keyof typeof bodyBytes;
  const wanted = work.path === "/small" ? smallBody : bodyOf(bodyBytes[name]);
  if (!wanted.equals(body)) {
    throw new Error(
      `${variant.name}: ${work.path} gave ${body.length} bytes that are not the wanted ${wanted.length}`,
    );
  }
}

/** request-id, headers and access-log each leave a trace. */
async function checkFilters(subject: Subject, headers: Headers): Promise<void> {
  if (!headers.has("x-request-id")) throw new Error("request-id did not answer with x-request-id");
  expect("x-bench, which headers sets", headers.get("x-bench") ?? "", "clearway");
  if ((await countLogLines(subject, 1)) === 0) throw new Error("access-log wrote no line");
}

/** The access log is written in the background: waits for that many lines, but not long, and returns how many there are. */
export async function countLogLines(subject: Subject, wanted: number): Promise<number> {
  const path = join(subject.folder, "access.log");
  const deadline = performance.now() + logWaitMs;
  for (;;) {
    const lines = existsSync(path) ? countLines(readFileSync(path)) : 0;
    if (lines >= wanted || performance.now() > deadline) return lines;
    await sleep(logPollMs);
  }
}

function countLines(text: Buffer): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}

function expect(what: string, found: string, wanted: string): void {
  if (found !== wanted) throw new Error(`${what} is "${found}", wanted "${wanted}"`);
}
