/** Hono's `proxy()` on Bun, as its documentation writes it: `hono-proxy.ts FILE`, where FILE says both ports. One thread. */
import { readFileSync } from "node:fs";
import { Hono } from "hono";
import { getConnInfo } from "hono/bun";
import { proxy } from "hono/proxy";

const { port, backend } = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as {
  port: string;
  backend: string;
};

const app = new Hono();
app.all("*", (c) => {
  const { pathname, search } = new URL(c.req.url);
  return proxy(`http://127.0.0.1:${backend}${pathname}${search}`, {
    // All of the request: its method, its body, its signal.
    ...c.req,
    headers: {
      ...c.req.header(),
      // What every proxy of a row tells the upstream about its caller.
      "X-Forwarded-For": getConnInfo(c).remote.address,
      "X-Forwarded-Proto": "http",
    },
  });
});

// The longest that Bun lets a caller wait is 255 s; the others keep a connection for a minute.
Bun.serve({ port: Number(port), hostname: "127.0.0.1", idleTimeout: 60, fetch: app.fetch });
