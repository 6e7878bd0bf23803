// @fastify/http-proxy on Node: `fastify-http-proxy.mjs FILE`, where FILE says both ports. One process, one thread.
import { readFileSync } from "node:fs";
import proxy from "@fastify/http-proxy";
import fastify from "fastify";

const { port, backend } = JSON.parse(readFileSync(process.argv[2], "utf8"));

// No log, as with the other proxies of a row; a caller that waits keeps its connection for a minute.
const app = fastify({ logger: false, keepAliveTimeout: 60_000 });
app.register(proxy, {
  upstream: `http://127.0.0.1:${backend}`,
  // undici is what its documentation recommends; as many connections as the largest row has callers.
  undici: { connections: 512, pipelining: 1, keepAliveTimeout: 60_000 },
  replyOptions: {
    // What every proxy of a row tells the upstream about its caller.
    rewriteRequestHeaders: (request, headers) => ({
      ...headers,
      "x-forwarded-for": request.ip,
      "x-forwarded-proto": "http",
    }),
  },
});
await app.listen({ port, host: "127.0.0.1", backlog: 4096 });
process.on("SIGTERM", () => process.exit(0));
