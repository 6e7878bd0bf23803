/**
 * Downstream. Refuses with 413 a body that is larger than `max`: at once, without having asked for it, where its length
 * is told, else when it becomes too large on its way, with nothing of it held. Then the service gets a request without
 * an end; when its answer has begun already, that is cut short too.
 */
import { defineFilter, type Middleware, size, z } from "../plugin.ts";
import { refusalOf } from "./refusal.ts";

type Context = Parameters<Middleware>[0];
type Next = Parameters<Middleware>[1];

const options = z.strictObject({ max: size().describe("the largest body that passes") });

export default defineFilter({
  name: "body-limit",
  summary: "Refuses bodies that are too large, while they arrive",
  options,
  middleware: ({ max: bytesMax }, tools) => {
    const refuse = (why: "told" | "counted") => {
      tools.metrics.count("body_limit_refused", { why });
      const sentence = `the request's body is larger than ${bytesMax} bytes`;
      return refusalOf({ status: 413, reason: "body-too-large", sentence });
    };
    return (c, next) => {
      const told = c.req.raw.headers.get("content-length");
      if (told !== null) return Number(told) <= bytesMax ? next() : Promise.resolve(refuse("told"));
      const { body } = c.req.raw;
      return body === null ? next() : counted(c, next, { body, bytesMax, refuse });
    };
  },
});

interface Counted {
  readonly body: ReadableStream<Uint8Array>;
  readonly bytesMax: number;
  refuse(why: "counted"): Response;
}

async function counted(
  c: Context,
  next: Next,
  { body, bytesMax, refuse }: Counted,
): Promise<Response | undefined> {
  const tooLarge = Promise.withResolvers<Response>();
  let answered = false;
  const reader = body.getReader();
  let bytes = 0;
  const limited = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
          return;
        }
        bytes += value.byteLength;
        if (bytes <= bytesMax) {
          controller.enqueue(value);
          return;
        }
        tooLarge.resolve(refuse("counted"));
        void reader.cancel().catch(() => {});
        if (answered) controller.error(new Error("the body is too large"));
        // Else the refusal ends the request; a failure here would be taken for the service's.
        else await new Promise(() => {});
      },
      cancel: (why) => reader.cancel(why),
    },
    { highWaterMark: 0 },
  );
  c.req.raw = new Request(c.req.raw, { body: limited, duplex: "half" } as RequestInit);
  const passed = next().then(() => {
    answered = true;
    return undefined;
  });
  return Promise.race([tooLarge.promise, passed]);
}
