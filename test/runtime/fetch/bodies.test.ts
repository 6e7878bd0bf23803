import { beforeAll, describe, expect, test } from "bun:test";
import { RETAINED_BYTES_MAX, STREAM_HIGH_BYTES } from "../../../src/runtime/fetch/body-limits.ts";
import { installGlobals } from "../../../src/runtime/fetch/globals.ts";
import { outgoingRequest, outgoingResponse } from "../../../src/runtime/fetch/outgoing.ts";
import { bytesOf } from "./both-pairs.ts";
import { ManualBody, requestFrom, responseFrom } from "./messages.ts";

beforeAll(installGlobals);

const withBody = (body: ManualBody) => responseFrom([], { body });
const post = (body: ManualBody) => requestFrom(["Host: h"], { method: "POST", body });
/** Lets what waits on promises run. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};
const text = (chunk: Uint8Array | undefined) => Buffer.from(chunk ?? []).toString();

describe("a body that nobody reads", () => {
  test("is the same object after every rebuild, and goes out as its source", () => {
    const source = new ManualBody(["x"]);
    const came = withBody(source);
    const { body } = came;
    const rebuilt = new Response(new Response(came.body, came).body, { status: 600 });
    expect(rebuilt.body === body).toBe(true);
    expect(body).toBeInstanceOf(ReadableStream);
    expect([rebuilt.bodyUsed, body!.locked, source.begun]).toEqual([false, false, false]);
    expect(outgoingResponse(rebuilt).body).toEqual({ kind: "source", source });
  });

  test("still goes out as its source when only a reader was taken and given back", () => {
    const source = new ManualBody(["x"]);
    const response = withBody(source);
    const reader = response.body!.getReader();
    expect(response.body!.locked).toBe(true);
    reader.releaseLock();
    expect(outgoingResponse(response).body).toEqual({ kind: "source", source });
  });

  test("a stream that a filter gave is the same object afterwards", () => {
    const stream = new ReadableStream<Uint8Array>();
    const response = new Response(stream);
    expect(response.body === stream).toBe(true);
    expect(new Response(response.body, response).body === stream).toBe(true);
    expect(outgoingResponse(response).body).toEqual({ kind: "stream", stream });
  });
});

describe("a body read whole", () => {
  for (const how of ["text", "json", "arrayBuffer", "bytes", "blob"] as const) {
    test(`by ${how} can still be sent`, async () => {
      const request = post(new ManualBody(["[1,", "2]"]));
      await request[how]();
      expect([request.bodyUsed, request.body!.locked]).toEqual([true, true]);
      const { body } = outgoingRequest(request, request);
      expect([body.kind, (await bytesOf(body)).toString()]).toEqual(["bytes", "[1,2]"]);
      await expect(request.text()).rejects.toThrow(TypeError);
      expect(() => request.body!.getReader()).toThrow(TypeError);
      expect(() => new Request(request)).toThrow(TypeError);
      expect(() => request.clone()).toThrow(TypeError);
    });
  }

  test("keeps its bytes although the filter changes what it got", async () => {
    const request = post(new ManualBody(["abc"]));
    (await request.bytes()).fill(0);
    expect((await bytesOf(outgoingRequest(request, request).body)).toString()).toBe("abc");
  });

  test("is bounded: at the limit it is read, one byte past it is refused and the source cancelled", async () => {
    const half = "x".repeat(RETAINED_BYTES_MAX / 2);
    expect((await withBody(new ManualBody([half, half])).text()).length).toBe(RETAINED_BYTES_MAX);
    const long = new ManualBody([half, half, "x"], { ends: "later" });
    const response = withBody(long);
    await expect(response.text()).rejects.toThrow(`wanted at most ${RETAINED_BYTES_MAX} bytes`);
    expect(long.cancelled).toBe(true);
    expect(() => outgoingResponse(response)).toThrow("was read by a filter and not put back");
    const announced = new ManualBody(["x"], { lengthBytes: RETAINED_BYTES_MAX + 1 });
    await expect(withBody(announced).text()).rejects.toThrow("wanted at most");
    expect([announced.begun, announced.cancelled]).toEqual([false, true]);
  });

  test("is bounded also when a filter gave the stream", async () => {
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(1024 * 1024)),
      cancel: () => {
        cancelled = true;
      },
    });
    await expect(new Response(stream).text()).rejects.toThrow("wanted at most");
    expect(cancelled).toBe(true);
  });

  test("rejects with what its source failed with", async () => {
    const source = new ManualBody(["ab"], { ends: "later" });
    const reading = withBody(source).text();
    source.fail();
    await expect(reading).rejects.toThrow("the service closed in the middle");
  });
});

describe("a body read as a stream", () => {
  test("begins its source at the first read and copies each chunk", async () => {
    const source = new ManualBody(["one", "two"]);
    const response = withBody(source);
    const reader = response.body!.getReader();
    await settle();
    expect([source.begun, response.bodyUsed]).toEqual([false, false]);
    expect(text((await reader.read()).value)).toBe("one");
    expect(response.bodyUsed).toBe(true);
    expect(text((await reader.read()).value)).toBe("two");
    expect((await reader.read()).done).toBe(true);
  });

  test("pauses its source when too much waits and resumes it when little is left", async () => {
    const source = new ManualBody([], { ends: "later" });
    const reader = withBody(source).body!.getReader();
    const first = reader.read();
    const chunk = Buffer.alloc(STREAM_HIGH_BYTES / 4);
    source.send(chunk);
    await first;
    source.send(chunk, chunk, chunk);
    expect(source.paused).toBe(false);
    source.send(chunk);
    expect(source.paused).toBe(true);
    await reader.read();
    await reader.read();
    expect(source.paused).toBe(true);
    await reader.read();
    expect(source.paused).toBe(false);
  });

  test("cancels its source", async () => {
    for (const begun of ["before the first read", "after it"]) {
      const source = new ManualBody(["x"], { ends: "later" });
      const response = withBody(source);
      if (begun === "after it") {
        const reader = response.body!.getReader();
        await reader.read();
        await reader.cancel();
      } else await response.body!.cancel();
      expect([source.cancelled, response.bodyUsed]).toEqual([true, true]);
    }
  });

  test("fails with what its source failed with, after what came before", async () => {
    const source = new ManualBody(["x"], { ends: "later" });
    const reader = withBody(source).body!.getReader();
    expect(text((await reader.read()).value)).toBe("x");
    const reading = reader.read();
    source.fail();
    await expect(reading).rejects.toThrow("the service closed in the middle");
  });

  test("cannot be sent afterwards when nothing was put back", async () => {
    const request = post(new ManualBody(["abc"]));
    await request.body!.getReader().read();
    expect(() => outgoingRequest(request, request)).toThrow(
      "cannot send the message: its body was read by a filter and not put back",
    );
    const teed = withBody(new ManualBody(["abc"]));
    teed.body!.tee();
    expect(() => outgoingResponse(teed)).toThrow("not put back");
  });

  for (const [name, read] of [
    [
      "pipeTo",
      (body) => {
        let all = "";
        const decoder = new TextDecoder();
        const sink = new WritableStream<Uint8Array>({
          write(chunk) {
            all += decoder.decode(chunk);
          },
        });
        return body.pipeTo(sink).then(() => all);
      },
    ],
    ["pipeThrough", (body) => new Response(body.pipeThrough(new TransformStream())).text()],
    [
      "async iteration",
      async (body) => {
        let all = "";
        for await (const chunk of body) all += text(chunk);
        return all;
      },
    ],
    ["tee", (body) => new Response(body.tee()[1]).text()],
    ["its own text", (body) => (body as unknown as Response).text()],
    [
      "textStream",
      async (body) => {
        let all = "";
        const response = new Response(body) as Response & { textStream(): ReadableStream<string> };
        for await (const part of response.textStream()) all += part;
        return all;
      },
    ],
  ] as [string, (body: ReadableStream<Uint8Array>) => Promise<string>][]) {
    test(`can be read by ${name}`, async () => {
      expect(await read(withBody(new ManualBody(["one ", "two"])).body!)).toBe("one two");
    });
  }
});

describe("a cloned body", () => {
  test("is read in one copy and goes out from the other without a web stream", async () => {
    const source = new ManualBody(["one ", "two"]);
    const response = withBody(source);
    const copy = response.clone();
    expect(await copy.text()).toBe("one two");
    const { body } = outgoingResponse(response);
    expect([body.kind, (await bytesOf(body)).toString()]).toEqual(["source", "one two"]);
  });

  test("cancels its source only when nobody wants either copy", async () => {
    const source = new ManualBody(["x"], { ends: "later" });
    const response = withBody(source);
    const copy = response.clone();
    await copy.body!.cancel();
    expect(source.cancelled).toBe(false);
    await response.body!.cancel();
    expect(source.cancelled).toBe(true);
  });

  test("fails in the copy that lags too far behind, not in the other", async () => {
    const half = "x".repeat(RETAINED_BYTES_MAX / 2);
    const source = new ManualBody([half, half, "x", "y"]);
    const response = withBody(source);
    let size = 0;
    for await (const chunk of response.clone().body!) size += chunk.byteLength;
    expect(size).toBe(RETAINED_BYTES_MAX + 2);
    // Before a byte of it is out, so that the caller can be told.
    expect(() => outgoingResponse(response)).toThrow("cannot send the message: cannot keep a cloned body");
    await expect(response.text()).rejects.toThrow("is more than 8388608 bytes behind the other");
  });

  test("of a Response that a filter made is its own", async () => {
    const response = new Response("made", { status: 201, headers: { a: "1" } });
    const copy = response.clone();
    copy.headers.set("a", "2");
    expect([await copy.text(), await response.text(), response.headers.get("a"), copy.status]).toEqual([
      "made",
      "made",
      "1",
      201,
    ]);
  });
});
