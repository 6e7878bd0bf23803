/** A service whose answers may be kept, `bun prices.ts NAME PORT`: each says how many there were before it. */
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const [name = "prices", port = "9000"] = process.argv.slice(2);
const app = new Hono();
let answers = 0;

app.get("/", (c) => c.text("ready\n"));
app.get("/private/*", (c) => {
  answers += 1;
  c.header("cache-control", "private");
  return c.text(`answer ${answers}, for you alone\n`);
});
app.get("/*", (c) => {
  answers += 1;
  c.header("cache-control", "max-age=3600");
  c.header("vary", "accept-language");
  return c.text(`answer ${answers}, in ${c.req.header("accept-language") ?? "any language"}\n`);
});

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(port) }, (address) => {
  console.log(`${name} listens on 127.0.0.1:${address.port}`);
});
