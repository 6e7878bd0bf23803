// http-proxy-3 on Node: `http-proxy-3.mjs FILE`, where FILE says both ports. One process, one thread.
import { readFileSync } from "node:fs";
import { Agent, createServer } from "node:http";
import { createProxyServer } from "http-proxy-3";

const { port, backend } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const proxy = createProxyServer({
  target: `http://127.0.0.1:${backend}`,
  // Without an agent each request would open a connection of its own.
  agent: new Agent({ keepAlive: true, maxSockets: 512, maxFreeSockets: 512 }),
  // What every proxy of a row tells the upstream about its caller.
  xfwd: true,
});
proxy.on("error", (_error, _request, response) => response.writeHead?.(502).end());

const server = createServer((request, response) => proxy.web(request, response));
// As the other proxies: a caller that waits keeps its connection for a minute.
server.keepAliveTimeout = 60_000;
server.listen({ port, host: "127.0.0.1", backlog: 4096 });
process.on("SIGTERM", () => process.exit(0));
