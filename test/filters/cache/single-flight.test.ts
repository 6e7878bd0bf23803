/** Of those who ask for the same at the same time one is sent, and nobody waits for nothing. */
import { describe, expect, test } from "bun:test";
import { ManualBody } from "../../runtime/fetch/messages.ts";
import { type CallDraft, failures } from "../sending/upstream-chain.ts";
import { answer, cachedService, read, settled } from "./cached-service.ts";

const MINUTE = "Cache-Control: max-age=60";

/** A service whose answers the test gives by hand. */
function byHand(options: object = {}) {
  const service = cachedService(options);
  const asked: { request: Request; answer(response: Response): void; fail(error: Error): void }[] = [];
  const script = ({ request }: { request: Request }) =>
    new Promise<Response>((resolve, reject) => {
      asked.push({ request, answer: resolve, fail: reject });
    });
  const begin = async (draft: CallDraft = {}) => {
    const response = await service.chain.begin(script, draft);
    return read(response);
  };
  const several = (count: number, draft: CallDraft = {}) => Array.from({ length: count }, () => begin(draft));
  return { service, asked, begin, several };
}

describe("cache, single flight", () => {
  test("sends one of a thousand", async () => {
    const { service, asked, several } = byHand();
    const all = several(1000);
    await settled();
    expect(asked).toHaveLength(1);
    asked[0]!.answer(answer([MINUTE]));
    const got = await Promise.all(all);
    expect(got.every(({ body, status }) => body === "hello" && status === 200)).toBe(true);
    expect(got.map(({ said }) => said).slice(0, 2)).toEqual([
      "fwd=uri-miss; stored",
      "fwd=uri-miss; collapsed; ttl=60",
    ]);
    expect(service.counted("cache_answers collapsed")).toBe(999);
    expect(service.chain.parts.clock.waiting).toBe(0);
  });

  test("gives nobody an answer before it is whole", async () => {
    const { asked, several } = byHand();
    const all = several(2);
    await settled();
    const body = new ManualBody(["hel"], { ends: "later" });
    asked[0]!.answer(answer([MINUTE], { body }));
    let ended = 0;
    for (const one of all) void one.then(() => ended++);
    await settled();
    expect(ended).toBe(0);
    body.send("lo");
    body.end();
    expect((await Promise.all(all)).map((one) => one.body)).toEqual(["hello", "hello"]);
  });

  test("lets all go whose answer is for one caller, and nobody waits the next time", async () => {
    const { asked, several } = byHand();
    const all = several(10);
    await settled();
    asked[0]!.answer(answer(["Cache-Control: private"]));
    await settled();
    expect(asked).toHaveLength(10);
    for (const one of asked) one.answer(answer([]));
    await Promise.all(all);
    const next = several(10);
    await settled();
    expect(asked).toHaveLength(20);
    for (const one of asked) one.answer(answer([]));
    await Promise.all(next);
  });

  test("for a minute; then one goes ahead again", async () => {
    const { asked, several, service } = byHand();
    const first = several(1);
    await settled();
    asked[0]!.answer(answer([]));
    await first[0];
    service.pass(60_000);
    const all = several(10);
    await settled();
    expect(asked).toHaveLength(2);
    asked[1]!.answer(answer([MINUTE]));
    await Promise.all(all);
  });

  test("a service that fails is asked by one after the other", async () => {
    const { asked, several } = byHand();
    const all = several(3).map((one) => one.catch((error: Error) => error.message));
    await settled();
    asked[0]!.fail(failures.reset());
    await settled();
    expect(asked).toHaveLength(2);
    asked[1]!.answer(answer([MINUTE]));
    const got = await Promise.all(all);
    expect(got[0]).toBe("closed");
    expect(got.slice(1).map((one) => (one as { body: string }).body)).toEqual(["hello", "hello"]);
    expect(asked).toHaveLength(2);
  });

  test("an answer that is cut off is nobody's: the next one goes", async () => {
    const { asked, several, service } = byHand();
    const all = several(3).map((one) => one.catch((error: Error) => error.message));
    await settled();
    const body = new ManualBody(["hel"], { ends: "later" });
    asked[0]!.answer(answer([MINUTE], { body }));
    await settled();
    body.fail();
    await settled();
    expect(asked).toHaveLength(2);
    asked[1]!.answer(answer([MINUTE], { body: "whole" }));
    const got = await Promise.all(all);
    expect(got[0]).toBe("the service closed in the middle");
    expect(got.slice(1).map((one) => (one as { body: string }).body)).toEqual(["whole", "whole"]);
    expect(service.counted("cache_not_kept cut-off")).toBe(1);
  });

  test("a body that is too large for the memory is passed on whole, and the others go", async () => {
    for (const told of [true, false]) {
      const { asked, several, service } = byHand({ bodyMax: "8B" });
      const all = several(2);
      await settled();
      const large = () => {
        const body = new ManualBody(["12345", "67890"], told ? { lengthBytes: 10 } : {});
        return answer(told ? [MINUTE, "Content-Length: 10"] : [MINUTE], { body });
      };
      asked[0]!.answer(large());
      await settled();
      expect(asked).toHaveLength(2);
      asked[1]!.answer(large());
      expect((await Promise.all(all)).map(({ body }) => body)).toEqual(["1234567890", "1234567890"]);
      expect(service.counted("cache_not_kept too-large")).toBe(2);
    }
  });

  test("waits as long as it is told, and goes then", async () => {
    const { asked, several, service } = byHand({ wait: "2s" });
    const all = several(2);
    await settled();
    service.pass(1999);
    await settled();
    expect(asked).toHaveLength(1);
    service.pass(1);
    await settled();
    expect(asked).toHaveLength(2);
    for (const one of asked) one.answer(answer([MINUTE]));
    await Promise.all(all);
  });

  test("whose caller left does not wait", async () => {
    const { asked, begin, several } = byHand();
    const first = several(1);
    const leaving = new AbortController();
    const left = begin({ signal: leaving.signal });
    await settled();
    leaving.abort();
    await settled();
    // It is sent, which the runtime refuses for a request that is over.
    expect(asked).toHaveLength(2);
    for (const one of asked) one.answer(answer([MINUTE]));
    await Promise.all([...first, left]);
  });

  test("of those who say the same where Vary looks, once that is known", async () => {
    const { asked, several } = byHand();
    const language = (value: string) => ({ fields: [`Accept-Language: ${value}`] });
    const all = ["en", "de", "fr"].flatMap((value) => several(5, language(value)));
    await settled();
    expect(asked).toHaveLength(1);
    const respond = ({ request, answer: give }: (typeof asked)[number]) =>
      give(answer([MINUTE, "Vary: Accept-Language"], { body: request.headers.get("accept-language")! }));
    respond(asked[0]!);
    await settled();
    expect(asked).toHaveLength(3);
    for (const one of asked.slice(1)) respond(one);
    const bodies = (await Promise.all(all)).map(({ body }) => body);
    expect(bodies).toEqual(["en", "de", "fr"].flatMap((value) => Array<string>(5).fill(value)));
  });

  test("not of those who want an answer of a certain age", async () => {
    const { asked, several } = byHand();
    const all = several(3, { fields: ["Cache-Control: no-cache"] });
    await settled();
    expect(asked).toHaveLength(3);
    for (const one of asked) one.answer(answer([MINUTE]));
    await Promise.all(all);
  });

  test("asks about a stale answer once", async () => {
    const { asked, several, service } = byHand();
    const first = several(1);
    await settled();
    asked[0]!.answer(answer([MINUTE, 'ETag: "a"']));
    await first[0];
    service.pass(60_000);
    const all = several(100);
    await settled();
    expect(asked).toHaveLength(2);
    asked[1]!.answer(answer([MINUTE], { status: 304 }));
    expect((await Promise.all(all)).every(({ body }) => body === "hello")).toBe(true);
  });

  test("those who wait get the stale answer when the service fails and that is allowed", async () => {
    const { asked, several, service } = byHand({ staleIfError: "1m" });
    const first = several(1);
    await settled();
    asked[0]!.answer(answer([MINUTE]));
    await first[0];
    service.pass(60_000);
    const all = several(100);
    await settled();
    asked[1]!.fail(failures.reset());
    expect((await Promise.all(all)).every(({ body }) => body === "hello")).toBe(true);
    expect(asked).toHaveLength(2);
  });
});
