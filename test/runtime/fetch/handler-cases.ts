/** What people write in a middleware: Hono's context on requests and answers; and Hono's middlewares among each other. */
import { basicAuth } from "hono/basic-auth";
import { bearerAuth } from "hono/bearer-auth";
import { bodyLimit } from "hono/body-limit";
import { some } from "hono/combine";
import { compress } from "hono/compress";
import { cors } from "hono/cors";
import { etag } from "hono/etag";
import { HTTPException } from "hono/http-exception";
import { logger } from "hono/logger";
import { methodOverride } from "hono/method-override";
import { prettyJSON } from "hono/pretty-json";
import { cloneRawRequest } from "hono/request";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { stream, streamSSE, streamText } from "hono/streaming";
import { timeout } from "hono/timeout";
import { after, type Case, cookies, form, formHeaders, json, longText, multipart, text } from "./case.ts";

export const handlerCases: readonly Case[] = [
  { name: "nothing at all", uses: [after(() => {})] },
  { name: "etag in etag", uses: [etag(), etag({ weak: true })], answer: json },
  {
    name: "compress around etag",
    uses: [compress({ threshold: 10 }), etag()],
    answer: longText,
    request: { headers: { "accept-encoding": "gzip" } },
  },
  {
    name: "combine some",
    uses: [some(bearerAuth({ token: "no" }), basicAuth({ username: "a", password: "b" }))],
    request: { headers: { authorization: `Basic ${btoa("a:b")}` } },
  },
  {
    name: "HEAD",
    uses: [etag(), after((c) => c.header("x-a", "1"))],
    request: { method: "HEAD" },
    answer: { headers: { etag: '"q"' } },
  },
  {
    name: "an HTTPException",
    uses: [
      () => {
        throw new HTTPException(418, { message: "teapot" });
      },
    ],
  },
  {
    name: "an HTTPException with a response",
    uses: [
      () => {
        throw new HTTPException(401, { res: new Response("no", { headers: { "www-authenticate": "x" } }) });
      },
    ],
  },
  {
    name: "c.header after next",
    uses: [
      after((c) => c.header("x-a", "1")),
      after((c) => {
        c.header("set-cookie", "b=2", { append: true });
        c.header("content-type", "text/x");
      }),
    ],
    answer: cookies,
  },
  { name: "c.header removes", uses: [after((c) => c.header("set-cookie", undefined))], answer: cookies },
  {
    name: "c.res.headers changed",
    uses: [
      after((c) => {
        c.res.headers.append("x-a", "1");
        c.res.headers.append("X-A", "2");
        c.res.headers.delete("content-type");
      }),
    ],
    answer: text,
  },
  {
    name: "c.res replaced",
    uses: [
      after((c) => {
        c.res = new Response("other", { status: 201, headers: { "x-new": "1" } });
      }),
    ],
    answer: cookies,
  },
  {
    name: "c.res replaced by its own text",
    uses: [
      after(async (c) => {
        c.res = new Response((await c.res.text()).toUpperCase(), c.res);
      }),
    ],
    answer: text,
  },
  {
    name: "c.res cloned and read",
    uses: [after(async (c) => c.header("x-length", String((await c.res.clone().text()).length)))],
    answer: text,
  },
  {
    name: "c.res as a transformed stream",
    uses: [
      after((c) => {
        c.res = new Response(
          c.res.body!.pipeThrough(new TextDecoderStream()).pipeThrough(new TextEncoderStream()),
          c.res,
        );
      }),
    ],
    answer: text,
  },
  {
    name: "c.res teed",
    uses: [
      after(async (c) => {
        const [one, other] = c.res.body!.tee();
        c.res = new Response(one, c.res);
        c.header("x-length", String((await new Response(other).text()).length));
      }),
    ],
    answer: text,
  },
  {
    name: "c.res read by async iteration",
    uses: [
      after(async (c) => {
        let size = 0;
        for await (const chunk of c.res.body!) size += chunk.byteLength;
        c.res = new Response(`${size}`, c.res);
      }),
    ],
    answer: text,
  },
  { name: "c.text with a status and headers", uses: [(c) => c.text("no", 403, { "x-why": "because" })] },
  { name: "c.json", uses: [(c) => c.json({ a: [1] }, 201)] },
  {
    name: "c.html after c.header and c.status",
    uses: [
      (c) => {
        c.header("x-a", "1");
        c.status(202);
        return c.html("<p>");
      },
    ],
  },
  { name: "c.redirect", uses: [(c) => c.redirect("/elsewhere?a=ä", 307)] },
  { name: "c.notFound", uses: [(c) => c.notFound()] },
  {
    name: "c.body of bytes",
    uses: [(c) => c.body(new Uint8Array([104, 105]), 200, { "content-type": "x/y" })],
  },
  {
    name: "c.req.header of all",
    uses: [(c) => c.json(c.req.header())],
    request: { headers: { "x-b": "2", "X-A": "1", cookie: "c=d" } },
  },
  {
    name: "c.req.query and c.req.path",
    uses: [(c) => c.json([c.req.query(), c.req.queries("a"), c.req.path, c.req.url, c.req.method])],
    request: { path: "/x/y?a=1&a=2&b=%20" },
  },
  {
    name: "c.req.json",
    uses: [async (c) => c.json(await c.req.json())],
    request: { method: "POST", body: '{"a":1}' },
  },
  {
    name: "c.req.text and then json",
    uses: [async (c) => c.json([await c.req.text(), await c.req.json()])],
    request: { method: "POST", body: '{"a":1}' },
  },
  {
    name: "c.req.arrayBuffer and blob",
    uses: [async (c) => c.json([(await c.req.arrayBuffer()).byteLength, (await c.req.blob()).size])],
    request: { method: "POST", body: "12345" },
  },
  {
    name: "c.req.parseBody of a form",
    uses: [async (c) => c.json(await c.req.parseBody({ all: true }))],
    request: { method: "POST", body: form, headers: formHeaders },
  },
  {
    name: "c.req.formData of multipart",
    uses: [
      async (c) => {
        const data = await c.req.formData();
        const file = data.get("f") as File;
        return c.json([data.get("a"), file.name, await file.text()]);
      },
    ],
    request: {
      method: "POST",
      body: multipart,
      headers: { "content-type": "multipart/form-data; boundary=x" },
    },
  },
  {
    name: "c.req.json of what is none",
    uses: [async (c) => c.text(await c.req.json().catch((error: Error) => error.name))],
    request: { method: "POST", body: "{no" },
  },
  {
    name: "cloneRawRequest",
    uses: [
      async (c) => {
        await c.req.text();
        const copy = await cloneRawRequest(c.req);
        return c.text(`${copy.method} ${await copy.text()}`);
      },
    ],
    request: { method: "PUT", body: "again", headers: { "x-a": "1" } },
  },
  {
    name: "c.req.raw rebuilt with a header",
    uses: [
      async (c, next) => {
        const headers = new Headers(c.req.raw.headers);
        headers.set("x-a", "2");
        headers.delete("x-b");
        c.req.raw = new Request(c.req.raw, { headers });
        await next();
      },
    ],
    request: { method: "POST", body: "kept", headers: { "X-A": "1", "X-B": "1", "X-C": "1" } },
  },
  {
    name: "c.req.raw rebuilt with a method and a body",
    uses: [
      async (c, next) => {
        c.req.raw = new Request(c.req.raw, { method: "put", body: "other" });
        await next();
      },
    ],
    request: { method: "POST", body: "kept", headers: { "content-type": "a/b" } },
  },
  {
    name: "c.req.raw cloned, one read, one forwarded",
    uses: [
      async (c, next) => {
        const size = (await c.req.raw.clone().text()).length;
        c.req.raw.headers.set("x-size", String(size));
        await next();
      },
    ],
    request: { method: "POST", body: "twice" },
  },
  {
    name: "method-override",
    uses: [
      (c, next) =>
        methodOverride({
          app: {
            fetch: async (request: Request) => new Response(`${request.method} ${await request.text()}`),
          } as never,
        })(c, next),
    ],
    request: { method: "POST", body: "_method=DELETE&a=b", headers: formHeaders },
  },
  {
    name: "stream",
    uses: [
      (c) =>
        stream(c, async (out) => {
          await out.write("one ");
          await out.write(new Uint8Array([50]));
        }),
    ],
  },
  {
    name: "stream of a forwarded body",
    uses: [
      async (c, next) => {
        await next();
        const { body } = c.res;
        c.res = undefined;
        c.res = stream(c, (out) => out.pipe(body!));
      },
    ],
    answer: text,
  },
  {
    name: "streamText",
    uses: [
      (c) =>
        streamText(c, async (out) => {
          await out.writeln("line");
        }),
    ],
  },
  {
    name: "streamSSE",
    uses: [
      (c) =>
        streamSSE(c, async (out) => {
          await out.writeSSE({ event: "tick", id: "1", data: "a\nb" });
        }),
    ],
  },
  {
    name: "all around all",
    uses: [
      logger(() => {}),
      secureHeaders(),
      cors(),
      compress({ threshold: 5 }),
      etag(),
      prettyJSON(),
      requestId({ generator: () => "fixed" }),
      bodyLimit({ maxSize: 99 }),
      timeout(5000),
    ],
    answer: json,
    request: { method: "POST", path: "/?pretty", body: "body", headers: { "accept-encoding": "gzip" } },
  },
];
