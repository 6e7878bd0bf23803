/**
 * Chunks of uploads, and those that wait for somebody slow, are taken back when they left, and never while somebody reads
 * them: what is taken back is overwritten here, so that it would be seen in a body or in a field.
 */
import { afterEach, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import fc from "fast-check";
import { defineFilter, type FilterDefinition, z } from "../../../src/plugin.ts";

import { gateway, RunningProxy } from "../running-proxy.ts";
import { eventually } from "../waiting.ts";
import { WatchedChunks } from "../watched-chunks.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

type Framing = "length" | "chunked";

interface Exchange {
  readonly framing: Framing;
  readonly sent: Buffer;
  readonly answered: Buffer;
  /** Who takes bytes so slowly that they wait in the proxy. */
  readonly slow: "nobody" | "caller" | "service";
}

function bodyOf(lengthBytes: number, seed: number): Buffer {
  return Buffer.from(Array.from({ length: lengthBytes }, (_, index) => 33 + ((index * 7 + seed) % 90)));
}

function message(firstLine: string, framing: Framing, body: Buffer): Buffer {
  const fields = framing === "length" ? `content-length: ${body.length}` : "transfer-encoding: chunked";
  const head = Buffer.from(`${firstLine}\r\nx-from: here\r\n${fields}\r\n\r\n`);
  if (framing === "length") return Buffer.concat([head, body]);
  const pieces: Buffer[] = [head];
  for (let at = 0; at < body.length; at += 20_000) {
    const piece = body.subarray(at, at + 20_000);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
  }
  return Buffer.concat([...pieces, Buffer.from("0\r\n\r\n")]);
}

/** Reads one message from a socket; the body of its second value is whole, whatever its framing. */
class Incoming {
  #bytes = Buffer.alloc(0);

  constructor(socket: Socket, slow: "yes" | "no", whole: (body: Buffer) => void) {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      for (let body = this.#take(); body !== null; body = this.#take()) whole(body);
      if (slow === "no") return;
      socket.pause();
      setTimeout(() => socket.resume(), 1);
    });
  }

  #take(): Buffer | null {
    const start = this.#bytes.indexOf("\r\n\r\n") + 4;
    if (start < 4) return null;
    const head = this.#bytes.toString("latin1", 0, start).toLowerCase();
    const length = /content-length: (\d+)/.exec(head);
    if (length !== null) return this.#cut(start, start + Number(length[1]), []);
    if (!head.includes("transfer-encoding: chunked")) return this.#cut(start, start, []);
    const pieces: Buffer[] = [];
    for (let at = start; ; ) {
      const lineEnd = this.#bytes.indexOf("\r\n", at);
      if (lineEnd < 0) return null;
      const size = Number.parseInt(this.#bytes.toString("latin1", at, lineEnd), 16);
      const end = lineEnd + 2 + size + 2;
      if (this.#bytes.length < end) return null;
      if (size === 0) return this.#cut(end, end, pieces);
      pieces.push(this.#bytes.subarray(lineEnd + 2, end - 2));
      at = end;
    }
  }

  #cut(start: number, end: number, pieces: readonly Buffer[]): Buffer | null {
    if (this.#bytes.length < end) return null;
    const body = Buffer.concat([...pieces, this.#bytes.subarray(start, end)]);
    this.#bytes = this.#bytes.subarray(end);
    return body;
  }
}

/** Exchanges one after the other on one connection, through a proxy of their own. */
async function run(
  exchanges: readonly Exchange[],
  filters: readonly FilterDefinition[] = [],
  takenBytesMax?: number,
) {
  const got: Buffer[] = [];
  const answers: Buffer[] = [];
  const watched = new WatchedChunks(takenBytesMax);
  const slowOf = (who: Exchange["slow"]) => (exchanges.some(({ slow }) => slow === who) ? "yes" : "no");
  const service = createServer((socket) => {
    new Incoming(socket, slowOf("service"), (body) => {
      const { framing, answered } = exchanges[got.length]!;
      got.push(body);
      socket.write(message("HTTP/1.1 200 OK", framing, answered));
    });
  });
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  const config = gateway({
    ports: [(service.address() as { port: number }).port],
    listener: filters.length === 0 ? "" : `    filters: [${filters.map(({ name }) => name).join(", ")}]`,
  });
  const proxy = await RunningProxy.start(config, {
    sockets: watched.sockets,
    ...(filters.length === 0 ? {} : { filters: new Map(filters.map((one) => [one.name, one])) }),
  });
  const caller = connect(proxy.port(), "127.0.0.1");
  open.push(() => {
    caller.destroy();
    service.close();
    return proxy.stop();
  });
  const ask = ({ framing, sent }: Exchange) =>
    caller.write(message("POST /up HTTP/1.1\r\nhost: shop.example", framing, sent));
  new Incoming(caller, slowOf("caller"), (body) => {
    answers.push(body);
    const next = exchanges[answers.length];
    if (next !== undefined) ask(next);
  });
  ask(exchanges[0]!);
  await eventually("all answers", () => answers.length === exchanges.length);
  expect(got.map((body, at) => body.equals(exchanges[at]!.sent))).toEqual(exchanges.map(() => true));
  expect(answers.map((body, at) => body.equals(exchanges[at]!.answered))).toEqual(exchanges.map(() => true));
  return watched;
}

const small = Buffer.from("ok");

for (const framing of ["length", "chunked"] as const) {
  test(`all chunks of a large answer to a slow caller are taken back, ${framing}`, async () => {
    const answered = bodyOf(8 * 1024 * 1024, 1);
    const watched = await run([{ framing, sent: small, answered, slow: "caller" }]);
    const left = watched.answered.filter((chunk) => !watched.reclaimed.has(chunk));
    // One that ends within the head of the next piece of a chunked body is joined with what follows.
    if (framing === "length") expect(left.length).toBe(0);
    expect(left.length).toBeLessThanOrEqual(watched.answered.length / 4);
  });

  test(`all chunks of large uploads to a slow service are taken back, ${framing}`, async () => {
    const exchange = { framing, sent: bodyOf(4 * 1024 * 1024, 2), answered: small, slow: "service" } as const;
    const watched = await run([exchange, exchange]);
    const left = watched.asked.filter((chunk) => !watched.reclaimed.has(chunk));
    // Those with a head in them, when a part of them had to wait.
    if (framing === "length") expect(left.length).toBeLessThanOrEqual(2);
    expect(left.length).toBeLessThanOrEqual(2 + watched.asked.length / 4);
  });

  test(`the only chunk of an upload is taken back after its request, ${framing}`, async () => {
    const exchange = { framing, sent: bodyOf(60 * 1024, 3), answered: small, slow: "nobody" } as const;
    const watched = await run([exchange, exchange, exchange]);
    expect(watched.asked.some((chunk) => watched.reclaimed.has(chunk))).toBe(true);
  });
}

test("bodies of any size and framing arrive as they were sent, whoever is slow", async () => {
  const body = fc
    .tuple(fc.constantFrom(0, 1, 100, 5_000, 17_000, 70_000, 300_000), fc.nat(50))
    .map(([lengthBytes, seed]) => bodyOf(lengthBytes, seed));
  const exchange = fc.record({
    framing: fc.constantFrom("length" as const, "chunked" as const),
    sent: body,
    answered: body,
    slow: fc.constantFrom("nobody" as const, "caller" as const, "service" as const),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(exchange, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(undefined, 7_000, 30_000),
      async (exchanges, takenBytesMax) => {
        await run(exchanges, [], takenBytesMax);
        for (const close of open.splice(0)) await close();
      },
    ),
    { numRuns: 25 },
  );
});

test("what filters hold of an upload and of its answer stays as it was", async () => {
  const held: { readonly request: Headers; readonly answer: Headers; readonly body: Promise<string> }[] = [];
  const holder = defineFilter({
    name: "holder",
    summary: "Holds on to all that it sees",
    options: z.unknown(),
    middleware: () => async (c, next) => {
      const copy = c.req.raw.clone();
      await next();
      held.push({
        request: c.req.raw.headers,
        answer: c.res.headers,
        body: Promise.all([copy.text(), c.res.clone().text()]).then((texts) => texts.join("/")),
      });
    },
  });
  const exchange = (seed: number): Exchange => ({
    ...({ framing: "length", slow: "nobody" } as const),
    ...{ sent: bodyOf(200_000, seed), answered: bodyOf(100_000, seed + 1) },
  });
  const exchanges = [exchange(1), exchange(2), exchange(3)];
  await run(exchanges, [holder as FilterDefinition]);
  expect(held.length).toBe(exchanges.length);
  for (const [at, { request, answer, body }] of held.entries()) {
    expect([request.get("x-from"), request.get("host"), answer.get("x-from")]).toEqual([
      ...["here", "shop.example", "here"],
    ]);
    expect(await body).toBe(`${exchanges[at]!.sent}/${exchanges[at]!.answered}`);
  }
});

test("fields that a filter holds stay as they were, though it lets both bodies pass", async () => {
  const held: Headers[] = [];
  const looker = defineFilter({
    name: "looker",
    summary: "Holds on to fields",
    options: z.unknown(),
    middleware: () => (c, next) => {
      held.push(c.req.raw.headers);
      c.env.onAnswer((answer) => void held.push(answer.headers));
      return next();
    },
  });
  const exchange = {
    ...({ framing: "length", slow: "nobody" } as const),
    ...{ sent: bodyOf(60_000, 1), answered: bodyOf(60_000, 2) },
  };
  const exchanges = [exchange, exchange, exchange];
  await run(exchanges, [looker as FilterDefinition]);
  // What the heads are in has to wait, too.
  await run(exchanges, [looker as FilterDefinition], 20_000);
  expect(held.map((headers) => headers.get("x-from"))).toEqual(Array(12).fill("here"));
});
