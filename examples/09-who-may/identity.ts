/**
 * Who knows people, `bun identity.ts NAME PORT`: it makes tokens and shows the keys that check them, as an identity
 * provider does, and answers the gateway's own questions. Here everybody gets a token; elsewhere one has to log in.
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

const [name = "identity", port = "9002"] = process.argv.slice(2);
const { publicKey, privateKey } = await generateKeyPair("ES256");
const key = { ...(await exportJWK(publicKey)), kid: "1", alg: "ES256", use: "sig" };
const app = new Hono();

app.get("/", (c) => c.text("ready\n"));
app.get("/keys", (c) => c.json({ keys: [key] }));
app.get("/token/:user", async (c) => {
  const token = new SignJWT()
    .setProtectedHeader({ alg: "ES256", kid: "1" })
    .setIssuer("https://id.example")
    .setAudience("shop")
    .setSubject(c.req.param("user"))
    .setExpirationTime("5m");
  return c.text(await token.sign(privateKey));
});
app.get("/check", (c) => {
  const user = /(?:^|; )user=(\w+)/.exec(c.req.header("cookie") ?? "")?.[1];
  if (user !== "carol") return c.text("only carol sees the beta\n", 403);
  c.header("x-user", user);
  return c.text("yes");
});

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(port) }, (address) => {
  console.log(`${name} listens on 127.0.0.1:${address.port}`);
});
