/** What the cache keeps and gives, by what answers and requests say (RFC 9111, sections 3 and 5.2). */
import { describe, expect, test } from "bun:test";
import { answer, cachedService, silent } from "./cache/cached-service.ts";
import type { CallDraft } from "./sending/upstream-chain.ts";

const MINUTE = "Cache-Control: max-age=60";

/** Whether the second of two requests is answered without the service, `afterMs` after the first. */
async function isKept(
  fields: readonly string[],
  {
    options = {},
    status = 200,
    afterMs = 0,
    draft = {},
    again = draft,
  }: { options?: object; status?: number; afterMs?: number; draft?: CallDraft; again?: CallDraft } = {},
): Promise<boolean> {
  const service = cachedService(options);
  const first = await service.get(() => answer(fields, { status }), draft);
  expect([first.status, first.body]).toEqual([status, "hello"]);
  service.pass(afterMs);
  const second = await service.get(() => answer(["X-Second: yes"], { body: "again" }), again);
  const isFirst = second.body === "hello";
  expect(second.sent.length).toBe(isFirst ? 0 : 1);
  return isFirst;
}

describe("cache keeps", () => {
  const epoch = (atMs: number) => new Date(atMs).toUTCString();
  const rows: [string, readonly string[], boolean, Parameters<typeof isKept>[1]?][] = [
    ["what says how long it is fresh", [MINUTE], true],
    ["until then", [MINUTE], true, { afterMs: 59_900 }],
    ["and no longer", [MINUTE], false, { afterMs: 60_000 }],
    ["nothing that says nothing", [], false],
    ["nothing for a tag alone", ['ETag: "a"', "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"], false],
    ["s-maxage before max-age", ["Cache-Control: s-maxage=60, max-age=1"], true, { afterMs: 30_000 }],
    [
      "s-maxage before max-age, if shorter too",
      ["Cache-Control: max-age=60, s-maxage=1"],
      false,
      { afterMs: 2000 },
    ],
    ["max-age before Expires", [MINUTE, "Expires: Sun, 06 Nov 1994 08:49:37 GMT"], true],
    [
      "what Expires says",
      ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Expires: Sun, 06 Nov 1994 08:50:37 GMT"],
      false,
    ],
    ["nothing with an Expires that is no date", ["Expires: 0"], false],
    ["nothing with a max-age that is no number", ["Cache-Control: max-age=soon"], false],
    ["nothing with a negative max-age", ["Cache-Control: max-age=-60"], false],
    ["a max-age in quotes", ['Cache-Control: max-age="60"'], true],
    [
      "a max-age beyond all numbers",
      ["Cache-Control: max-age=99999999999999999999"],
      true,
      { afterMs: 86_400_000 },
    ],
    [
      "the first of two",
      ["Cache-Control: max-age=60", "Cache-Control: max-age=1"],
      true,
      { afterMs: 30_000 },
    ],
    ["names without case", ["CACHE-CONTROL: MAX-AGE=60"], true],
    ["not what is no-store", ["Cache-Control: max-age=60, no-store"], false],
    [
      "not what is no-store, behind a comma in quotes",
      ['Cache-Control: max-age=60, a="b, c", no-store'],
      false,
    ],
    ["what only quotes no-store", ['Cache-Control: max-age=60, a="no-store, b"'], true],
    ["not what is private", ["Cache-Control: private, max-age=60"], false],
    ["what is private in one field", ['Cache-Control: private="x-a", max-age=60'], true],
    ["an older Age counts", [MINUTE, "Age: 50"], false, { afterMs: 10_000 }],
    ["an Age that is no number does not", [MINUTE, "Age: old"], true, { afterMs: 10_000 }],
    ["not what varies by everything", [MINUTE, "Vary: *"], false],
    [
      "not what varies by too much",
      [MINUTE, `Vary: ${Array.from({ length: 17 }, (_, i) => `x-${i}`)}`],
      false,
    ],
    ["not what varies by what the node writes", [MINUTE, "Vary: X-Forwarded-For"], false],
    ["no-store that must be understood", ["Cache-Control: no-store, must-understand, max-age=60"], true],
    ["not a node's own answer", [MINUTE, "X-Clearway-Reason: draining"], false],
    ["not what sets a cookie", [MINUTE, "Set-Cookie: a=b"], false],
    [
      "what sets a cookie, where that is wanted",
      [MINUTE, "Set-Cookie: a=b"],
      true,
      { options: { setCookie: "store" } },
    ],
    ["404 with a lifetime", [MINUTE], true, { status: 404 }],
    ["503 with a lifetime", [MINUTE], true, { status: 503 }],
    ["206 never", [MINUTE, "Content-Range: bytes 0-4/9"], false, { status: 206 }],
    ["a status that is not known, with a lifetime", [MINUTE], true, { status: 299 }],
    ["not such a status that must be understood", [`${MINUTE}, must-understand`], false, { status: 299 }],
    ["what says nothing, for its ttl", [], true, { options: { ttl: "2s" }, afterMs: 1900 }],
    ["and no longer than that", [], false, { options: { ttl: "2s" }, afterMs: 2000 }],
    ["by ttl no refusal", [], false, { options: { ttl: "2s" }, status: 404 }],
    ["by ttl nothing that says otherwise", ["Cache-Control: max-age=0"], false, { options: { ttl: "2s" } }],
    ["by ttl nothing that is no-cache", ["Cache-Control: no-cache"], false, { options: { ttl: "2s" } }],
  ];
  for (const [name, fields, kept, more] of rows)
    test(name, async () => expect(await isKept(fields, more)).toBe(kept));

  test("what Expires says, counted from Date", async () => {
    const service = cachedService();
    const nowMs = service.chain.parts.clock.epochMs();
    const fields = [`Date: ${epoch(nowMs)}`, `Expires: ${epoch(nowMs + 60_000)}`];
    await service.get(() => answer(fields));
    service.pass(59_000);
    expect((await service.get(silent)).headers.get("age")).toBe("59");
    service.pass(2000);
    expect((await service.get(() => answer([], { body: "new" }))).body).toBe("new");
  });

  test("not what is older than it may be when it comes", async () => {
    const service = cachedService();
    const old = epoch(service.chain.parts.clock.epochMs() - 61_000);
    await service.get(() => answer([`Date: ${old}`, MINUTE]));
    expect((await service.get(() => answer([], { body: "new" }))).body).toBe("new");
  });

  test("the time that an answer takes to come counts", async () => {
    const service = cachedService();
    const slow = () =>
      new Promise<Response>((resolve) => {
        service.chain.parts.clock.after(5000, () => resolve(answer([MINUTE])));
      });
    await service.get(slow);
    expect((await service.get(silent)).headers.get("age")).toBe("5");
  });

  test("and gives status, fields and body as they came, with its age", async () => {
    const service = cachedService();
    const fields = [
      ...[MINUTE, "X-One: 1", "x-One: 2", "Connection: x-hop", "X-Hop: no", "Trailer: x-sum"],
      ...["Content-Encoding: gzip", "Age: 3", "Keep-Alive: 5", "Content-Length: 5"],
    ];
    await service.get(() => answer(fields, { status: 203 }));
    service.pass(2500);
    const { status, headers, body, said } = await service.get(silent);
    expect([status, body, said]).toEqual([203, "hello", "hit; ttl=55"]);
    const { date, ...others } = (headers as unknown as { toJSON(): Record<string, string> }).toJSON();
    expect(date).toMatch(/GMT$/);
    expect(others).toEqual({
      age: "5",
      "cache-control": "max-age=60",
      "cache-status": "clearway; hit; ttl=55",
      "content-encoding": "gzip",
      "content-length": "5",
      "x-one": "1, 2",
    });
  });

  test("without the fields that are for one caller", async () => {
    const service = cachedService();
    const fields = ['Cache-Control: max-age=60, private="x-a", no-cache="Set-Cookie, x-b"'];
    const first = await service.get(() =>
      answer([...fields, "X-A: 1", "X-B: 2", "Set-Cookie: a=b", "X-C: 3"]),
    );
    expect(first.headers.get("x-a")).toBe("1");
    const { headers } = await service.get(silent);
    expect(["x-a", "x-b", "set-cookie", "x-c"].map((name) => headers.get(name))).toEqual([
      null,
      null,
      null,
      "3",
    ]);
  });

  test("says nothing in Cache-Status when it shall not", async () => {
    const service = cachedService({ status: false });
    await service.get(() => answer([MINUTE]));
    const { headers } = await service.get(silent);
    expect([headers.get("cache-status"), headers.get("age")]).toEqual([null, "0"]);
  });

  test("and says it after what caches further inside said", async () => {
    const service = cachedService();
    await service.get(() => answer([MINUTE, "Cache-Status: inner; hit"]));
    const { headers } = await service.get(silent);
    expect(headers.get("cache-status")).toBe("inner; hit, clearway; hit; ttl=60");
  });
});

describe("cache, targeted fields (RFC 9213)", () => {
  const options = { targets: ["Clearway-Cache-Control", "CDN-Cache-Control"] };
  const rows: [string, readonly string[], boolean][] = [
    ["before Cache-Control, for it", ["CDN-Cache-Control: max-age=60", "Cache-Control: no-store"], true],
    ["before Cache-Control, against it", ["CDN-Cache-Control: no-store", MINUTE], false],
    ["before Expires", ["CDN-Cache-Control: foo", "Expires: Sun, 06 Nov 2094 08:49:37 GMT"], false],
    ["the first of the list", ["CDN-Cache-Control: max-age=60", "Clearway-Cache-Control: private"], false],
    [
      "what is no dictionary is not there",
      ["CDN-Cache-Control: max-age=60, &&&", "Cache-Control: no-store"],
      false,
    ],
    ["nor is what ends in a comma", ["CDN-Cache-Control: no-store,", MINUTE], true],
    ["nor what has capitals", ["CDN-Cache-Control: NO-STORE", MINUTE], true],
    [
      "nor what has a number in quotes",
      ['CDN-Cache-Control: max-age="60"', "Cache-Control: no-store"],
      false,
    ],
    ["nor what is empty", ["CDN-Cache-Control: ", MINUTE], true],
    ["commas in quotes", ['CDN-Cache-Control: a="b, c", max-age=60', "Cache-Control: no-store"], true],
  ];
  for (const [name, fields, kept] of rows)
    test(name, async () => expect(await isKept(fields, { options })).toBe(kept));
  test("count for nothing unless they are asked for", async () => {
    expect(await isKept(["CDN-Cache-Control: no-store", MINUTE])).toBe(true);
  });
});

describe("cache, by who asks (section 3.5)", () => {
  const known: [string, CallDraft][] = [
    ["an Authorization field", { fields: ["Authorization: Bearer abc"] }],
    ["claims of a token that a filter took out", { vars: { claims: { sub: "ann" } } }],
    ["a caller whom a filter knows", { vars: { caller: "mobile" } }],
  ];
  for (const [name, draft] of known) {
    test(`${name}: not kept unless it is said to be for all`, async () => {
      expect(await isKept([MINUTE], { draft })).toBe(false);
      for (const directive of ["public", "s-maxage=60", "must-revalidate"])
        expect(await isKept([`${MINUTE}, ${directive}`], { draft })).toBe(true);
    });
    test(`${name}: is given what is kept for all`, async () => {
      expect(await isKept([MINUTE], { draft: {}, again: draft })).toBe(true);
    });
  }
});

describe("cache, by what is asked for (section 5.2.1)", () => {
  async function asked(fields: readonly string[], { stored = MINUTE, afterMs = 10_000 } = {}) {
    const service = cachedService();
    await service.get(() => answer([stored]));
    service.pass(afterMs);
    const { body, said, status } = await service.get(() => answer([MINUTE], { body: "new" }), { fields });
    return { body, said, status };
  }
  const rows: [string, readonly string[], "hello" | "new", Parameters<typeof asked>[1]?][] = [
    ["no-cache", ["Cache-Control: no-cache"], "new"],
    ["Pragma: no-cache", ["Pragma: no-cache"], "new"],
    ["Pragma beside Cache-Control", ["Pragma: no-cache", "Cache-Control: max-age=20"], "hello"],
    ["max-age, younger", ["Cache-Control: max-age=10"], "hello"],
    ["max-age, older", ["Cache-Control: max-age=9"], "new"],
    ["max-age that is no number", ["Cache-Control: max-age=x"], "new"],
    ["min-fresh, enough left", ["Cache-Control: min-fresh=50"], "hello"],
    ["min-fresh, not enough", ["Cache-Control: min-fresh=51"], "new"],
    ["no-store", ["Cache-Control: no-store"], "hello"],
    ["nothing, stale", [], "new", { afterMs: 61_000 }],
    ["max-stale", ["Cache-Control: max-stale"], "hello", { afterMs: 600_000 }],
    ["max-stale, enough", ["Cache-Control: max-stale=5"], "hello", { afterMs: 65_000 }],
    ["max-stale, not enough", ["Cache-Control: max-stale=4"], "new", { afterMs: 65_000 }],
    ...["must-revalidate", "proxy-revalidate", "s-maxage=60"].map(
      (directive): [string, string[], "new", Parameters<typeof asked>[1]] => [
        `max-stale, against ${directive}`,
        ["Cache-Control: max-stale"],
        "new",
        { stored: `${MINUTE}, ${directive}`, afterMs: 65_000 },
      ],
    ),
  ];
  for (const [name, fields, body, more] of rows)
    test(name, async () => expect((await asked(fields, more)).body).toBe(body));

  test("no-store: its answer is not kept", async () => {
    expect(await isKept([MINUTE], { draft: { fields: ["Cache-Control: no-store"] }, again: {} })).toBe(false);
  });

  test("only-if-cached: what is kept, or 504", async () => {
    const service = cachedService();
    const fields = ["Cache-Control: only-if-cached"];
    const none = await service.get(silent, { fields });
    expect([none.status, none.headers.get("x-clearway-reason")]).toEqual([504, "not-cached"]);
    await service.get(() => answer([MINUTE]));
    expect((await service.get(silent, { fields })).body).toBe("hello");
  });

  const passing = ["Range: bytes=0-1", 'If-Match: "a"', "If-Unmodified-Since: x", "Upgrade: websocket"];
  for (const field of passing) {
    test(`${field} goes to the service as it is`, async () => {
      const service = cachedService();
      await service.get(() => answer([MINUTE]));
      const { body, said, sent } = await service.get(() => answer([MINUTE], { body: "part" }), {
        fields: [field],
      });
      expect([body, said, sent[0]!.change]).toEqual(["part", "fwd=bypass", {}]);
      expect((await service.get(silent)).body).toBe("hello");
    });
  }
});
