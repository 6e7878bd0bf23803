import { describe, expect, test } from "bun:test";
import { testFilter } from "clearway/plugin/test";
import maskCards from "./mask-cards.ts";

const json = "application/json; charset=utf-8";

/** An answer in these pieces. */
function answering(pieces: readonly (string | Uint8Array)[], headers: Record<string, string> = {}) {
  return () => {
    const left = pieces.map((piece) => (typeof piece === "string" ? new TextEncoder().encode(piece) : piece));
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const next = left.shift();
        if (next === undefined) controller.close();
        else controller.enqueue(next);
      },
    });
    return new Response(body, { headers: { "content-type": json, ...headers } });
  };
}

async function masked(
  pieces: readonly (string | Uint8Array)[],
  options: { keep?: number } = {},
): Promise<string> {
  await using filter = testFilter(maskCards, options, { service: answering(pieces) });
  return (await filter.request("/")).text();
}

describe("mask-cards", () => {
  const cases: readonly (readonly [what: string, sent: string, got: string])[] = [
    ["digits in text", '{"a":"4111111111111111"}', '{"a":"************1111"}'],
    ["groups with spaces", '{"a":"4111 1111 1111 1111"}', '{"a":"**** **** **** 1111"}'],
    ["groups with hyphens", '{"a":"3782-822463-10005"}', '{"a":"****-******-*0005"}'],
    ["a number", '{"a":4111111111111111}', '{"a":9999999999991111}'],
    ["numbers in a list", "[4111111111111111,5555555555554444]", "[9999999999991111,9999999999994444]"],
    ["several in one text", '"4111111111111111, 5555555555554444."', '"************1111, ************4444."'],
    ["one with an expiry date behind it", '"4111 1111 1111 1111 12/26"', '"**** **** **** 1111 12/26"'],
    ["one with a number in front", '"7 4111111111111111"', '"7 ************1111"'],
    ["a whole document that is one", "4111111111111111", "9999999999991111"],
    ["19 digits", '"4000000000000000006"', '"***************0006"'],
    ["one behind an escape", String.raw`"\n4111111111111111\t"`, String.raw`"\n************1111\t"`],
    [
      "one behind a letter as an escape",
      String.raw`"\u00e94111111111111111"`,
      String.raw`"\u00e9************1111"`,
    ],
    ["one behind an escaped quote", String.raw`"\"4111111111111111\""`, String.raw`"\"************1111\""`],
    ["one behind other letters than ASCII", '"№4111111111111111é"', '"№************1111é"'],
    [
      "lines",
      '{"a":"4111111111111111"}\n{"a":1}\n4111111111111111\n',
      '{"a":"************1111"}\n{"a":1}\n9999999999991111\n',
    ],
  ];
  for (const [what, sent, got] of cases) {
    test(`masks ${what}`, async () => expect(await masked([sent])).toBe(got));

    test(`masks ${what}, cut anywhere`, async () => {
      const bytes = new TextEncoder().encode(sent);
      const cuts = [...bytes.keys()].slice(1).map((cut) => [bytes.subarray(0, cut), bytes.subarray(cut)]);
      const all = [[...bytes].map((byte) => Uint8Array.of(byte)), ...cuts];
      const service = (_request: Request, { count }: { readonly count: number }) =>
        answering(all[count - 1]!)();
      await using filter = testFilter(maskCards, {}, { service });
      for (const _ of all) expect(await (await filter.request("/")).text()).toBe(got);
    });
  }

  const untouched: readonly (readonly [what: string, sent: string])[] = [
    ["a wrong check digit", '"4111111111111112"'],
    ["a prefix of no network", '"1700000000000000"'],
    ["a time in milliseconds", '{"at":1700000000000,"t":"1700000000000"}'],
    ["the digits of a fraction", '{"a":0.4111111111111111,"b":4111111111111111.5,"c":4111111111111111e3}'],
    ["a negative number", '{"a":-4111111111111111}'],
    ["digits in a word", '"id_4111111111111111" "4111111111111111ab"'],
    ["too many digits", '"41111111111111114111111111111111"'],
    ["too many digits, in many pieces", `"${"4111111111111111".repeat(30)}"`],
    ["groups two spaces apart", '"4111  1111  1111  1111"'],
    ["digits of several numbers", "[4111,1111,1111,1111]"],
    ["escaped digits", String.raw`"\u4111111111111111"`],
  ];
  for (const [what, sent] of untouched) {
    test(`leaves ${what} alone`, async () => {
      expect(await masked([sent])).toBe(sent);
      expect(await masked([...sent])).toBe(sent);
    });
  }

  test("holds no more than a number back", async () => {
    const sent: number[] = [];
    const piece = `"${"4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 ".repeat(200)}`;
    await using filter = testFilter(maskCards, {}, { service: answering([piece]) });
    const response = await filter.request("/");
    for await (const bytes of response.body!) sent.push(bytes.length);
    expect(sent.reduce((sum, length) => sum + length, 0)).toBe(piece.length);
    expect(sent[0]).toBeGreaterThanOrEqual(piece.length - 38);
  });

  test("keeps as many of the last digits as it is told", async () => {
    expect(await masked(['"4111111111111111"'], { keep: 0 })).toBe('"****************"');
    expect(await masked(["[4111111111111111]"], { keep: 2 })).toBe("[9999999999999911]");
  });

  test("looks at JSON, and at nothing else", async () => {
    const text = '"4111111111111111"';
    for (const [type, got] of [
      ["application/json", '"************1111"'],
      ["Application/Problem+JSON", '"************1111"'],
      ["application/x-ndjson", '"************1111"'],
      ["text/plain", text],
      ["application/jsonx", text],
    ] as const) {
      await using filter = testFilter(
        maskCards,
        {},
        { service: answering([text], { "content-type": type }) },
      );
      expect(await (await filter.request("/")).text()).toBe(got);
    }
  });

  test("asks for the whole answer, plain, and refuses what is compressed all the same", async () => {
    const service = answering(["\u001f\u008b"], { "content-encoding": "gzip" });
    await using filter = testFilter(maskCards, {}, { service });
    const headers = { "accept-encoding": "gzip", range: "bytes=10-20", accept: "application/json" };
    const response = await filter.request("/", { headers });
    expect([response.status, response.headers.get("x-clearway-reason")]).toEqual([502, "answer-unreadable"]);
    const got = filter.received[0]!.headers;
    expect([got.get("accept-encoding"), got.get("range"), got.get("accept")]).toEqual([
      null,
      null,
      "application/json",
    ]);
  });

  test("tells no length and no digest of what was sent before", async () => {
    const text = '{"a":"4111111111111111"}';
    const sent = { "content-digest": "sha-256=:AAAA:", etag: '"1"', "content-length": String(text.length) };
    await using filter = testFilter(maskCards, {}, { service: answering([text], sent) });
    const { headers } = await filter.request("/");
    expect([headers.get("content-digest"), headers.get("etag")]).toEqual([null, '"1"']);
    expect(headers.get("content-length")).toBeNull();
  });

  test("lets hono/compress around it compress what it masked", async () => {
    const text = JSON.stringify({ cards: Array.from({ length: 100 }, () => "4111111111111111") });
    await using filter = testFilter(maskCards, {}, { service: answering([text]), before: ["hono/compress"] });
    const response = await filter.request("/", { headers: { "accept-encoding": "gzip" } });
    expect(response.headers.get("content-encoding")).toBe("gzip");
    const plain = new Response(response.body!.pipeThrough(new DecompressionStream("gzip")));
    expect(await plain.text()).toBe(text.replaceAll("411111111111", "************"));
    expect(filter.counted("cards_masked")).toBe(100);
  });

  test("leaves an answer without a body as it is", async () => {
    const service = () => new Response(null, { status: 204, headers: { "content-type": json } });
    await using filter = testFilter(maskCards, {}, { service });
    expect((await filter.request("/", { method: "DELETE" })).status).toBe(204);
  });

  test("cuts an answer off where the service does", async () => {
    const service = () =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new TextEncoder().encode('{"a":')),
          pull: (controller) => controller.error(new Error("gone")),
        }),
        { headers: { "content-type": json } },
      );
    await using filter = testFilter(maskCards, {}, { service, errors: "kept" });
    const response = await filter.request("/");
    expect(response.text()).rejects.toThrow();
  });
});
