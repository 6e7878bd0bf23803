/** A service to forward to: `bun service.ts NAME PORT` says what reached it. */
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const [name = "app", port = "9000"] = process.argv.slice(2);
const app = new Hono();

app.all("*", (c) => {
  const { pathname, search, host } = new URL(c.req.url);
  return c.text(`${name} got ${c.req.method} ${pathname}${search} for ${host}\n`);
});

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(port) }, (address) => {
  console.log(`${name} listens on 127.0.0.1:${address.port}`);
});
