/**
 * Bytes that nobody thought of. Fixtures are cut at every place, and mutated with a seed; the invariants: the process
 * lives, a connection ends or serves on, a service gets whole requests only, never more than its callers sent, and a
 * caller gets answers or a reset. The seed is the same every time, so that a run can be trusted and repeated; to look for
 * more, run it with another CLEARWAY_FUZZ_SEED.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SeededRandom } from "../../seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { type MemoryConnection, MemorySockets } from "../memory-sockets.ts";
import { readRequest, readResponse, statusOf } from "../messages.ts";
import { okAnswer } from "../recording-upstream.ts";
import { gateway, RunningProxy } from "../running-proxy.ts";
import { forwardedAnswers } from "./tables/answers.ts";
import { forwardedRequests } from "./tables/forwarded-requests.ts";
import { malformedBodies, malformedHeads, truncatedAnswers } from "./tables/malformed-answers.ts";
import { refusedBodies } from "./tables/refused-bodies.ts";
import { refusedHeads } from "./tables/refused-heads.ts";

const seed = Number(process.env.CLEARWAY_FUZZ_SEED ?? 1);
const requestCases = 50_000;
const answerCases = 30_000;
const host = "Host: shop.example\r\n";
const second = `GET /second HTTP/1.1\r\n${host}\r\n`;
const marked = "HTTP/1.1 200 Second\r\nContent-Length: 6\r\n\r\nsecond";

let sockets: MemorySockets;
let proxy: RunningProxy;
/** Connections to the service since the last look. */
let served: MemoryConnection[] = [];
/** What the service sends for a request that is not /second, and whether it closes then. */
let answer: { bytes: string; after: "stay" | "close" } = { bytes: okAnswer, after: "stay" };
/** What came to the service that was no request. */
const nonsense: string[] = [];
let reached: string[] = [];

function serve(connection: MemoryConnection): void {
  served.push(connection);
  connection.arrived = () => {
    try {
      for (;;) {
        const reading = readRequest(connection.received);
        if (reading === null) return;
        connection.received = reading.rest;
        const { start, fields, body, trailers } = reading.message;
        reached.push(JSON.stringify([start, fields, body, trailers]));
        const isSecond = start.startsWith("GET /second ");
        connection.send(Buffer.from(isSecond ? marked : answer.bytes, "latin1"));
        if (!isSecond && answer.after === "close") connection.finish();
      }
    } catch (error) {
      nonsense.push(`${error}: ${JSON.stringify(connection.received)}`);
    }
  };
}

beforeAll(async () => {
  sockets = new MemorySockets();
  sockets.connected = serve;
  proxy = await RunningProxy.start(gateway({ ports: [1] }), { sockets, clock: new VirtualClock() });
});

afterAll(() => proxy.stop());

/** Lets everything that was started come to its rest: nothing here waits for time. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function dropServed(): void {
  for (const connection of served.splice(0)) connection.drop();
}

interface Outcome {
  readonly received: string;
  readonly peer: string;
  readonly reached: readonly string[];
}

/** Sends the pieces on a new connection, then drops it. */
async function send(pieces: readonly Buffer[]): Promise<Outcome> {
  reached = [];
  const client = sockets.open();
  for (const piece of pieces) {
    client.send(piece);
    await settled();
  }
  const outcome = { received: client.received, peer: client.peer, reached: [...reached] };
  client.drop();
  await settled();
  served = served.filter(({ open }) => open);
  return outcome;
}

const bytesOf = (text: string) => Buffer.from(text, "latin1");

const chunkedHead = `POST /chunked HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`;
const requestFixtures: readonly string[] = [
  ...forwardedRequests.map(({ bytes }) => bytes + second),
  ...refusedHeads.map(({ bytes }) => bytes),
  ...refusedBodies.map(({ body }) => chunkedHead + body),
];

describe("bytes of a caller", () => {
  test("mean the same wherever they are cut", async () => {
    answer = { bytes: okAnswer, after: "stay" };
    for (const fixture of requestFixtures) {
      const whole = bytesOf(fixture);
      const expected = await send([whole]);
      for (let at = 1; at < whole.length; at++) {
        const outcome = await send([whole.subarray(0, at), whole.subarray(at)]);
        if (JSON.stringify(outcome) === JSON.stringify(expected)) continue;
        expect({ fixture, at, ...outcome }).toEqual({ fixture, at, ...expected });
      }
      const dripped = await send([...whole].map((byte) => Buffer.of(byte)));
      expect({ fixture, ...dripped }).toEqual({ fixture, ...expected });
    }
    expect(nonsense).toEqual([]);
  });

  test("mean the same when sockets take little at a time", async () => {
    const fixtures = requestFixtures.slice(0, forwardedRequests.length);
    const expected: Outcome[] = [];
    for (const fixture of fixtures) expected.push(await send([bytesOf(fixture)]));
    for (const takenBytesMax of [1, 7]) {
      sockets.takenBytesMax = takenBytesMax;
      dropServed();
      for (const [index, fixture] of fixtures.entries()) {
        const outcome = await send([bytesOf(fixture)]);
        expect({ fixture, ...outcome }).toEqual({ fixture, ...expected[index]! });
      }
    }
    sockets.takenBytesMax = Number.POSITIVE_INFINITY;
    dropServed();
  });

  test("never reach a service as more than what they are, whatever they are", async () => {
    const random = new SeededRandom(seed);
    for (let count = 0; count < requestCases; count++) {
      const bytes = mutated(random, requestFixtures);
      const place = `seed ${seed}, case ${count}: ${JSON.stringify(bytes.toString("latin1"))}`;
      const outcome = await send(cut(random, bytes));
      checkCaller(outcome, bytes.toString("latin1"), place);
      if (proxy.open.downstream !== 0) throw new Error(`${place}: a connection is left`);
      if (nonsense.length > 0) throw new Error(`${place}: the service got ${nonsense[0]}`);
    }
    expect(proxy.runtime.report().activeRequests).toBe(0);
    expect(
      statusOf(
        readResponse((await send([bytesOf(second)])).received, { method: "GET", ended: false })!.message,
      ),
    ).toBe(200);
  });
});

/** The requests in what a caller sent, by the other reading: how many are whole, up to the first that is none. */
function requestsIn(text: string): { methods: string[]; count: number } {
  const methods: string[] = [];
  let count = 0;
  let rest = text;
  for (;;) {
    rest = rest.replace(/^\r\n/, "");
    try {
      const reading = readRequest(rest, "dropped");
      if (reading === null) break;
      count++;
      methods.push(reading.message.start.split(" ")[0]!);
      rest = reading.rest;
    } catch {
      break;
    }
  }
  // Of the one that is none, or not whole, the method may be told all the same.
  methods.push(/^(\S+) /.exec(rest)?.[1] ?? "");
  return { methods, count };
}

function checkCaller({ received, peer, reached: requests }: Outcome, sent: string, place: string): void {
  const { methods, count } = requestsIn(sent);
  if (requests.length > count)
    throw new Error(`${place}: ${count} requests became ${requests.length}: ${requests.join("\n")}`);
  let rest = received;
  for (let index = 0; rest !== ""; index++) {
    const reading = readAnswer(rest, { method: methods[index] ?? "GET", ended: peer === "fin" }, place);
    if (reading === null) {
      if (peer !== "reset") throw new Error(`${place}: part of an answer: ${JSON.stringify(rest)}`);
      return;
    }
    rest = reading.rest;
    const status = statusOf(reading.message);
    if (status < 200) index--;
    if (status === 101) return;
  }
}

function readAnswer(text: string, options: { method: string; ended: boolean }, place: string) {
  try {
    return readResponse(text, options);
  } catch (error) {
    throw new Error(`${place}: not an answer: ${error} in ${JSON.stringify(text)}`);
  }
}

const answerFixtures: readonly { bytes: string; after: "stay" | "close" }[] = [
  ...forwardedAnswers.map(({ bytes, after }) => ({ bytes, after })),
  ...[...malformedHeads, ...malformedBodies].map(({ bytes }) => ({ bytes, after: "stay" as const })),
  ...truncatedAnswers.map(({ bytes }) => ({ bytes, after: "close" as const })),
].filter(({ bytes }) => bytes.length < 1_000);

describe("bytes of a service", () => {
  const first = bytesOf(`GET /first HTTP/1.1\r\n${host}\r\n`);

  test("never become another answer than its own, whatever they are", async () => {
    const random = new SeededRandom(seed + 1);
    const texts = answerFixtures.map(({ bytes }) => bytes);
    for (let count = 0; count < answerCases; count++) {
      const after = random.fraction() < 0.3 ? "close" : "stay";
      answer = { bytes: mutated(random, texts).toString("latin1"), after };
      const place = `seed ${seed}, case ${count}, ${JSON.stringify(answer)}`;
      const outcome = await send([first, bytesOf(second)]);
      checkAnswers(outcome, place);
      if (proxy.open.downstream !== 0) throw new Error(`${place}: a connection is left`);
    }
    expect(proxy.runtime.report().activeRequests).toBe(0);
  });
});

/** Interim ones and an answer to the first request, then only the marked one, or our own, to the second. */
function checkAnswers({ received, peer }: Outcome, place: string): void {
  let rest = received;
  let index = 0;
  while (rest !== "") {
    const reading = readAnswer(rest, { method: "GET", ended: false }, place);
    if (reading === null) return;
    rest = reading.rest;
    if (statusOf(reading.message) < 200) continue;
    index++;
    const own = /\r\nx-clearway-reason: /.test(reading.message.head);
    if (index === 2 && !own && reading.message.raw !== marked) {
      throw new Error(`${place}: the second answer is ${JSON.stringify(reading.message.raw)}`);
    }
    if (index > 2) throw new Error(`${place}: a third answer: ${JSON.stringify(reading.message.raw)}`);
  }
  if (peer === "open" && index === 1) throw new Error(`${place}: the second request has no answer`);
}

const spices = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "\x7f",
  "\xff",
  "0",
  "f",
  "-",
  "+",
  "x",
  "\r\n\r\n",
  "\r\n ",
  "/",
  "%2e",
  "#",
];
const phrases = [
  "Content-Length: 5\r\n",
  "Content-Length: 0\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "Connection: close\r\n",
  "Connection: upgrade\r\nUpgrade: websocket\r\n",
  "Expect: 100-continue\r\n",
  "Host: other.example\r\n",
  "HTTP/1.0",
  "HTTP/1.1 ",
  "0\r\n\r\n",
  "5\r\nhello\r\n",
  `GET /smuggled HTTP/1.1\r\n${host}\r\n`,
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 304 x\r\n\r\n",
];

function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[Math.floor(random.fraction() * list.length)]!;
}

/** A fixture with one to four changes. */
function mutated(random: SeededRandom, fixtures: readonly string[]): Buffer {
  let text = pick(random, fixtures);
  for (let changes = 1 + Math.floor(random.fraction() * 4); changes > 0; changes--) {
    const at = Math.floor(random.fraction() * (text.length + 1));
    const length = Math.floor(random.fraction() ** 3 * 40);
    const before = text.slice(0, at);
    switch (Math.floor(random.fraction() * 7)) {
      case 0: // one byte becomes another
        text = before + String.fromCharCode(Math.floor(random.fraction() * 256)) + text.slice(at + 1);
        break;
      case 1: // one bit turns over
        text = before + flipped(random, text.slice(at, at + 1)) + text.slice(at + 1);
        break;
      case 2:
        text = before + pick(random, spices) + text.slice(at);
        break;
      case 3:
        text = seasoned(random, text);
        break;
      case 4: // some are left out
        text = before + text.slice(at + length);
        break;
      case 5: // some come twice
        text = before + text.slice(at, at + length) + text.slice(at);
        break;
      default:
        text = splice(random, before, pick(random, fixtures));
    }
  }
  return bytesOf(text);
}

/** A phrase between two lines, where it is most likely to be understood. */
function seasoned(random: SeededRandom, text: string): string {
  const starts = [...text.matchAll(/\r\n/g)].map(({ index }) => index + 2);
  const at = pick(random, [0, ...starts]);
  return text.slice(0, at) + pick(random, phrases) + text.slice(at);
}

function flipped(random: SeededRandom, byte: string): string {
  return byte === ""
    ? ""
    : String.fromCharCode(byte.charCodeAt(0) ^ (1 << Math.floor(random.fraction() * 8)));
}

function splice(random: SeededRandom, before: string, other: string): string {
  return before + other.slice(Math.floor(random.fraction() * other.length));
}

/** Up to three pieces. */
function cut(random: SeededRandom, bytes: Buffer): Buffer[] {
  const places = [random.fraction(), random.fraction()]
    .map((part) => Math.floor(part * bytes.length))
    .sort((a, b) => a - b);
  const [first = 0, last = 0] = places;
  return [bytes.subarray(0, first), bytes.subarray(first, last), bytes.subarray(last)].filter(
    ({ length }) => length > 0,
  );
}
