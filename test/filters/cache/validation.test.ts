/** Asking the service whether what is kept still holds, and giving what is stale meanwhile (RFC 9111 4.3, RFC 5861). */
import { describe, expect, test } from "bun:test";
import { failures } from "../sending/upstream-chain.ts";
import { answer, cachedService, settled, silent } from "./cached-service.ts";

const DATE = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER = "Mon, 07 Nov 1994 08:49:37 GMT";
const FIRST = [
  "Cache-Control: max-age=10",
  'ETag: "a"',
  `Last-Modified: ${DATE}`,
  "X-A: 1",
  "Content-Type: text/a",
];

async function stale(fields: readonly string[] = FIRST, options: object = {}, afterMs = 11_000) {
  const service = cachedService(options);
  await service.get(() => answer(fields));
  service.pass(afterMs);
  return service;
}

describe("cache asks whether a stale answer holds", () => {
  test("with the tag and the date of what is kept, and not with the caller's", async () => {
    const service = await stale();
    const fields = ['If-None-Match: "old"', "If-Modified-Since: x", "X-Kept: yes"];
    const { sent, status } = await service.get(() => answer(FIRST), { fields });
    const { headers } = sent[0]!.request;
    const told = ["if-none-match", "if-modified-since", "x-kept"].map((name) => headers.get(name));
    expect([status, told]).toEqual([200, ['"a"', DATE, "yes"]]);
  });

  test("and gives it when it does, with what was said of it", async () => {
    const service = await stale();
    const fields = [
      "Cache-Control: max-age=20",
      'ETag: W/"a"',
      "X-A: 2",
      "Content-Type: text/b",
      "Connection: x-c",
      "X-C: 3",
    ];
    const confirmed = await service.get(() => answer([...fields, "Set-Cookie: a=b"], { status: 304 }));
    expect([confirmed.status, confirmed.body]).toEqual([200, "hello"]);
    expect(confirmed.said).toBe("fwd=stale; fwd-status=304; ttl=20");
    expect(confirmed.headers.get("set-cookie")).toBe("a=b");
    service.pass(19_000);
    const { headers } = await service.get(silent);
    const told = ["x-a", "content-type", "x-c", "set-cookie", "age"].map((name) => headers.get(name));
    expect(told).toEqual(["2", "text/a", null, null, "19"]);
  });

  test("gives the new one when it does not", async () => {
    const service = await stale();
    expect((await service.get(() => answer(FIRST, { body: "new" }))).said).toBe("fwd=stale; stored");
    expect((await service.get(silent)).body).toBe("new");
  });

  test("forgets it for an answer that is not kept, and keeps it for a failure", async () => {
    const gone = await stale();
    expect((await gone.get(() => answer([], { status: 404 }))).status).toBe(404);
    const after = await gone.get(() => answer([], { status: 404 }));
    expect(after.sent[0]!.request.headers.get("if-none-match")).toBeNull();
    const broken = await stale();
    expect((await broken.get(() => answer([], { status: 500 }))).status).toBe(500);
    expect((await broken.get(() => answer([], { status: 304 }))).body).toBe("hello");
  });

  test("asks again without conditions when it is told of another answer", async () => {
    const service = await stale();
    const { body, sent } = await service.get(({ number }) =>
      number === 1 ? answer(['ETag: "b"'], { status: 304 }) : answer(FIRST, { body: "new" }),
    );
    expect([body, sent.length, sent[1]!.request.headers.get("if-none-match")]).toEqual(["new", 2, null]);
    expect((await service.get(silent)).body).toBe("new");
  });

  test("forgets it when the confirmation says so", async () => {
    const service = await stale();
    const { body } = await service.get(() => answer(["Cache-Control: no-store"], { status: 304 }));
    expect(body).toBe("hello");
    expect((await service.get(() => answer([], { body: "new" }))).body).toBe("new");
  });

  test("forgets it when it is chosen by other fields from now on", async () => {
    const service = await stale();
    const fields = ["Cache-Control: max-age=60", "Vary: Accept-Language"];
    expect((await service.get(() => answer(fields, { status: 304 }))).body).toBe("hello");
    expect((await service.get(() => answer(FIRST, { body: "new" }))).body).toBe("new");
    const same = await stale([...FIRST, "Vary: accept-language"]);
    await same.get(() => answer(fields, { status: 304 }));
    expect((await same.get(silent)).body).toBe("hello");
  });

  test("asks before each use of what is no-cache, and keeps no such answer that it could not ask about", async () => {
    const service = await stale(["Cache-Control: no-cache, max-age=60", 'ETag: "a"'], {}, 0);
    for (let i = 0; i < 3; i++) {
      const { body, sent } = await service.get(() => answer([], { status: 304 }));
      expect([body, sent[0]!.request.headers.get("if-none-match")]).toEqual(["hello", '"a"']);
    }
    const other = await stale(["Cache-Control: no-cache"], {}, 0);
    expect(other.counted("cache_not_kept stale")).toBe(1);
  });

  test("passes a 304 on that it did not ask for", async () => {
    const service = cachedService();
    expect((await service.get(() => answer([], { status: 304 }))).status).toBe(304);
  });
});

describe("cache judges the caller's own conditions (section 4.3.2)", () => {
  const rows: [string, readonly string[], number][] = [
    ["the tag", ['If-None-Match: "a"'], 304],
    ["the tag among others, weak", ['If-None-Match: "b", W/"a"'], 304],
    ["any tag", ["If-None-Match: *"], 304],
    ["another tag", ['If-None-Match: "b"'], 200],
    ["another tag with a date that would do", ['If-None-Match: "b"', `If-Modified-Since: ${DATE}`], 200],
    ["the date", [`If-Modified-Since: ${DATE}`], 304],
    ["a later date", [`If-Modified-Since: ${LATER}`], 304],
    ["an earlier date", ["If-Modified-Since: Sat, 05 Nov 1994 08:49:37 GMT"], 200],
    ["no date", ["If-Modified-Since: yesterday"], 200],
  ];
  for (const [name, fields, status] of rows) {
    test(`${name}: ${status}`, async () => {
      const service = cachedService();
      // Of an answer that just came, and then of what is kept.
      const first = await service.get(() => answer(FIRST), { fields });
      expect(first.sent[0]!.request.headers.get("if-none-match")).toBeNull();
      const second = await service.get(silent, { fields });
      for (const got of [first, second]) {
        expect([got.status, got.body]).toEqual([status, status === 304 ? "" : "hello"]);
        const told = ["etag", "x-a", "content-type"].map((header) => got.headers.get(header));
        expect(told).toEqual(['"a"', "1", status === 304 ? null : "text/a"]);
      }
      expect((await service.get(silent)).body).toBe("hello");
    });
  }

  test("by the date of the answer where it does not say when it changed", async () => {
    const service = cachedService();
    const fields = (date: string) => ({ fields: [`If-Modified-Since: ${date}`] });
    const nowMs = service.chain.parts.clock.epochMs();
    await service.get(() => answer(["Cache-Control: max-age=60"]));
    expect((await service.get(silent, fields(new Date(nowMs + 1000).toUTCString()))).status).toBe(304);
    expect((await service.get(silent, fields(DATE))).status).toBe(200);
  });

  test("and leaves them to the service where its answers are not kept", async () => {
    const service = cachedService();
    await service.get(() => answer([]));
    const fields = ['If-None-Match: "a"'];
    const { status, sent } = await service.get(() => answer([], { status: 304 }), { fields });
    expect([status, sent[0]!.request.headers.get("if-none-match")]).toEqual([304, '"a"']);
  });
});

describe("cache, stale-while-revalidate", () => {
  const WINDOW = ["Cache-Control: max-age=10, stale-while-revalidate=30", 'ETag: "a"'];

  test("gives the stale answer at once and asks in the background, once", async () => {
    const service = await stale(WINDOW);
    let answerLater: (response: Response) => void = () => {};
    const later = () => new Promise<Response>((resolve) => (answerLater = resolve));
    const fields = ["Cache-Control: max-stale=0", "Pragma: x", 'If-None-Match: "old"', "X-Kept: yes"];
    const first = await service.get(later, { fields });
    expect([first.status, first.body, first.said]).toEqual([200, "hello", "hit; ttl=-1"]);
    const { change, request } = first.sent[0]!;
    expect([change.detached, request.method]).toEqual([true, "GET"]);
    const told = ["cache-control", "pragma", "if-none-match", "x-kept"].map((name) =>
      request.headers.get(name),
    );
    expect(told).toEqual([null, null, '"a"', "yes"]);
    expect((await service.get(silent)).body).toBe("hello");
    answerLater(answer(WINDOW, { body: "new" }));
    await settled();
    expect((await service.get(silent)).body).toBe("new");
    expect(service.counted("cache_revalidations replaced")).toBe(1);
  });

  test("takes a confirmation", async () => {
    const service = await stale(WINDOW);
    await service.get(() => answer(["Cache-Control: max-age=20"], { status: 304 }));
    service.pass(19_000);
    expect((await service.get(silent)).said).toBe("hit; ttl=1");
    expect(service.counted("cache_revalidations confirmed")).toBe(1);
  });

  test("asks with GET for a HEAD", async () => {
    const service = await stale(WINDOW);
    const { sent } = await service.get(() => answer(WINDOW), { method: "HEAD" });
    expect(sent[0]!.request.method).toBe("GET");
  });

  test("is over with its window", async () => {
    const service = await stale(WINDOW, {}, 40_000);
    expect((await service.get(() => answer([], { status: 304 }))).said).toMatch(/^fwd=stale/);
  });

  test("leaves a service that fails alone for a second, and goes on", async () => {
    for (const fails of [() => answer([], { status: 503 }), () => Promise.reject(failures.reset())]) {
      const service = await stale(WINDOW);
      expect((await service.get(fails)).body).toBe("hello");
      expect((await service.get(silent)).body).toBe("hello");
      service.pass(1001);
      expect((await service.get(() => answer([], { status: 304 }))).sent).toHaveLength(1);
      expect(service.counted("cache_revalidations failed")).toBe(1);
    }
  });

  test("forgets it for an answer that is not kept", async () => {
    const service = await stale(WINDOW);
    await service.get(() => answer([], { status: 404 }));
    expect((await service.get(() => answer([], { status: 404 }))).status).toBe(404);
  });

  test("gives up after a minute", async () => {
    const service = await stale(["Cache-Control: max-age=10, stale-while-revalidate=300"]);
    const { sent } = await service.get(() => new Promise(() => {}));
    service.pass(59_000);
    expect(sent[0]!.change.signal!.aborted).toBe(false);
    service.pass(1000);
    expect(sent[0]!.change.signal!.aborted).toBe(true);
  });

  test("is not done beside must-revalidate, and is where options say so", async () => {
    const forbidden = await stale([`${WINDOW[0]}, must-revalidate`, 'ETag: "a"']);
    expect((await forbidden.get(() => answer([], { status: 304 }))).said).toMatch(/^fwd=stale/);
    const given = await stale(FIRST, { staleWhileRevalidate: "30s" });
    expect((await given.get(() => answer([], { status: 304 }))).said).toBe("hit; ttl=-1");
    const own = await stale(["Cache-Control: max-age=10, stale-while-revalidate=0", 'ETag: "a"'], {
      staleWhileRevalidate: "30s",
    });
    expect((await own.get(() => answer([], { status: 304 }))).said).toMatch(/^fwd=stale/);
  });

  test("has at most 100 under way", async () => {
    const service = cachedService();
    const url = (number: number) => ({ url: `http://shop.example/${number}` });
    for (let i = 0; i < 101; i++) await service.get(() => answer(WINDOW), url(i));
    service.pass(11_000);
    let asked = 0;
    const never = () => new Promise<Response>(() => void asked++);
    for (let i = 0; i < 101; i++) expect((await service.get(never, url(i))).body).toBe("hello");
    expect(asked).toBe(100);
  });
});

describe("cache, stale-if-error", () => {
  const WINDOW = ["Cache-Control: max-age=10, stale-if-error=30"];
  const fails = {
    "503": () => answer([], { status: 503 }),
    "a reset": () => Promise.reject(failures.reset()),
    "no endpoint": () => Promise.reject(failures.unreachable()),
  };
  for (const [name, script] of Object.entries(fails)) {
    test(`gives the stale answer for ${name}, and leaves the service alone for a second`, async () => {
      const service = await stale(WINDOW);
      const { body, said, status } = await service.get(script);
      expect([status, body, said]).toEqual([200, "hello", "hit; detail=stale-if-error; ttl=-1"]);
      expect((await service.get(silent)).body).toBe("hello");
      service.pass(1001);
      expect((await service.get(() => answer([], { body: "new" }))).body).toBe("new");
    });
  }

  test("for an answer that does not come in time, before the caller is told so", async () => {
    const service = await stale(WINDOW);
    const { sent } = await service.get(() => Promise.reject(failures.timeout()), { timeoutMs: 1000 });
    expect(sent[0]!.change.timeoutMs).toBe(900);
  });

  test("not after its window, not beside must-revalidate, and not where nothing says so", async () => {
    for (const [fields, afterMs] of [
      [WINDOW, 40_000],
      [[`${WINDOW[0]}, must-revalidate`], 11_000],
      [[`${WINDOW[0]}, proxy-revalidate`], 11_000],
      [FIRST, 11_000],
    ] as const) {
      const service = await stale(fields, {}, afterMs);
      expect((await service.get(() => answer([], { status: 503 }))).status).toBe(503);
      await expect(service.get(() => Promise.reject(failures.reset()))).rejects.toThrow("closed");
    }
  });

  test("where options or the caller say so", async () => {
    const given = await stale(FIRST, { staleIfError: "1m" });
    expect((await given.get(() => answer([], { status: 503 }))).body).toBe("hello");
    const asked = await stale();
    const fields = ["Cache-Control: stale-if-error=60"];
    expect((await asked.get(() => answer([], { status: 503 }), { fields })).body).toBe("hello");
  });
});
