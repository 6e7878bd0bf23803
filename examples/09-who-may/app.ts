/** The service behind the gateway, `bun app.ts NAME PORT`: it believes what the gateway says of its callers. */
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const [name = "app", port = "9000"] = process.argv.slice(2);
const app = new Hono();

app.all("*", (c) => c.text(`hello, ${c.req.header("x-user") ?? "whoever you are"}\n`));

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(port) }, (address) => {
  console.log(`${name} listens on 127.0.0.1:${address.port}`);
});
