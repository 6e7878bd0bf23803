/** A service that is not well, `bun trouble.ts NAME PORT`: `slow` takes three seconds, any other answers 503. */
import { setTimeout } from "node:timers/promises";
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const [name = "broken", port = "9002"] = process.argv.slice(2);
const app = new Hono();

app.get("/", (c) => c.text("ready\n"));
app.all("*", async (c) => {
  if (name !== "slow") return c.text(`${name} is not well\n`, 503);
  await setTimeout(3000);
  return c.text("slow answered at last\n");
});

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(port) }, (address) => {
  console.log(`${name} listens on 127.0.0.1:${address.port}`);
});
