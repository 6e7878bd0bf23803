import { beforeAll, describe, expect, test } from "bun:test";
import { HTTPException } from "hono/http-exception";
import { wrapSend } from "../../src/runtime/chain.ts";
import { MessageFailure } from "../../src/runtime/failures.ts";
import { installGlobals } from "../../src/runtime/fetch/globals.ts";
import type { Call, SendChange, UpstreamFilter } from "../../src/types.ts";
import { requestFrom, responseFrom } from "./fetch/messages.ts";
import { makeFilter, makeFilters, testParts } from "./filter-parts.ts";

beforeAll(installGlobals);

const answer = () => responseFrom(["X-Kept: yes"]);
const up = (upstream: UpstreamFilter) => ({ upstream: () => upstream });
const boom = (): never => {
  throw new Error("boom");
};

describe("wrapSend", () => {
  const request = requestFrom([]);
  const call: Call = {
    request,
    attempt: 1,
    deadline: 100,
    signal: request.signal,
    route: "orders",
    service: "orders",
    vars: {},
    replayable: async () => true,
    copy: () => request,
  };

  test("is null without an upstream filter", () => {
    expect(wrapSend([makeFilter("a", { middleware: () => (_, next) => next() }, testParts())])).toBeNull();
  });

  test("the first filter is the outermost; changes add up on the way in", async () => {
    const changes: (SendChange | undefined)[] = [];
    const calls: string[] = [];
    const filters = makeFilters(
      [
        ["outer", up(async (_, send) => send({ service: "canary", timeoutMs: 10 }))],
        [
          "inner",
          up(async (inner, send) => {
            calls.push(`${inner.service} ${inner.attempt} ${inner.route} ${inner.deadline}`);
            return send({ timeoutMs: 5 });
          }),
        ],
      ],
      testParts(),
    );
    const response = await wrapSend(filters)!(call, async (change) => {
      changes.push(change);
      return answer();
    });
    expect(response.status).toBe(200);
    expect(calls).toEqual(["canary 1 orders 100"]);
    expect(changes).toEqual([{ service: "canary", timeoutMs: 5 }]);
  });

  test("what may send more than once is the innermost, wherever it stands in the list", async () => {
    const seen: string[] = [];
    const noting =
      (name: string, times: number): UpstreamFilter =>
      async (_, send) => {
        seen.push(name);
        for (let time = 1; time < times; time++) await send();
        return send();
      };
    const filters = makeFilters(
      [
        ["retry", { ...up(noting("retry", 2)), repeats: true }],
        ["mirror", up(noting("mirror", 1))],
        ["hedge", { ...up(noting("hedge", 1)), repeats: true }],
        ["fault", up(noting("fault", 1))],
      ],
      testParts(),
    );
    await wrapSend(filters)!(call, async () => answer());
    expect(seen).toEqual(["mirror", "fault", "retry", "hedge", "hedge"]);
  });

  test("inner filters see which sending of the outer one it is", async () => {
    const attempts: number[] = [];
    const twice: UpstreamFilter = async (_, send) => {
      await send();
      return send();
    };
    const filters = makeFilters(
      [
        ["retry", up(twice)],
        [
          "inner",
          up((inner, send) => {
            attempts.push(inner.attempt);
            return send();
          }),
        ],
      ],
      testParts(),
    );
    await wrapSend(filters)!(call, async () => answer());
    expect(attempts).toEqual([1, 2]);
  });

  test("a filter that throws fails the call in its own name", async () => {
    const parts = testParts();
    const sending = wrapSend([makeFilter("broken", up(boom), parts)])!(call, async () => answer());
    await expect(sending).rejects.toMatchObject({
      kind: "filter-error",
      message: 'the filter "broken" failed: boom',
    });
    expect(parts.logged[0]!.fields.filter).toBe("broken");
  });

  test("a failure of the sending passes through as it is", async () => {
    const parts = testParts();
    const failure = new MessageFailure("upstream-reset", "gone", { side: "upstream" });
    const filters = makeFilters(
      [
        ["a", up((_, send) => send())],
        ["b", up(async (_, send) => await send())],
      ],
      parts,
    );
    await expect(wrapSend(filters)!(call, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(parts.logged).toEqual([]);
  });

  test("onError open sends without the filter, or gives the answer that is there", async () => {
    let sent = 0;
    const send = async () => {
      sent += 1;
      return responseFrom([], { status: 200 + sent });
    };
    const late: UpstreamFilter = async (_, onward) => {
      await onward();
      return boom();
    };
    for (const upstream of [boom, late]) {
      const filter = makeFilter("broken", up(upstream), testParts(), { onError: "open" });
      await wrapSend([filter])!(call, send);
    }
    expect(sent).toBe(2);
  });

  test("an HTTPException is an answer, with a reason", async () => {
    const refuses: UpstreamFilter = () => {
      throw new HTTPException(429, { message: "slow down" });
    };
    const response = await wrapSend([makeFilter("limit", up(refuses), testParts())])!(call, async () =>
      answer(),
    );
    expect([response.status, await response.text()]).toEqual([429, "slow down"]);
    expect(response.headers.get("x-clearway-reason")).toBe("refused-by-filter");
  });
});
