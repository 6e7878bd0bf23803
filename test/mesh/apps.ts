/** Apps of the store that know of no mesh: plain HTTP on a port of their own. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";

export interface App {
  readonly port: number;
  readonly requests: { readonly path: string; readonly headers: IncomingMessage["headers"] }[];
  close(): Promise<void>;
}

/**
 * Answers its name; `?ms=N` takes its time, `/pretend` says what only nodes say, `/stream` does not end, `/status/503` has
 * that status, and `/fails?at=NAME` is a failure of the app of that name. An upgraded connection says back what it hears.
 */
export async function startApp(name: string, port = 0): Promise<App> {
  const requests: App["requests"] = [];
  const upgraded = new Set<Duplex>();
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://app");
    requests.push({ path: url.pathname, headers: request.headers });
    const waitMs = Number(url.searchParams.get("ms") ?? 0);
    if (url.pathname === "/healthz" && failing.has(name)) response.writeHead(500);
    if (url.pathname === "/pretend") response.setHeader("x-clearway-reason", "policy-denied");
    const [, wanted] = url.pathname.match(/^\/status\/(\d{3})$/) ?? [];
    if (wanted !== undefined) response.writeHead(Number(wanted));
    if (url.pathname === "/fails" && url.searchParams.get("at") === name) response.writeHead(500);
    if (url.pathname === "/stream") return void response.write("begun\n");
    setTimeout(() => response.end(`${name} ${request.method} ${url.pathname}`), waitMs);
  });
  server.on("upgrade", (_request, socket: Duplex) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    socket.on("error", () => {});
    socket.pipe(socket);
    upgraded.add(socket);
  });
  // Longer than a proxy keeps an unused connection: otherwise a request may meet its end.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    requests,
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of upgraded) socket.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Names of apps whose `/healthz` says that they are unwell. */
export const failing = new Set<string>();
