/** Apps of the store that know of no mesh: plain HTTP on a port of their own. */
import { createServer, type IncomingMessage, type Server } from "node:http";

export interface App {
  readonly port: number;
  readonly requests: { readonly path: string; readonly headers: IncomingMessage["headers"] }[];
  close(): Promise<void>;
}

/** Answers its name; `?ms=N` takes its time, `/pretend` says what only nodes say. */
export async function startApp(name: string, port = 0): Promise<App> {
  const requests: App["requests"] = [];
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://app");
    requests.push({ path: url.pathname, headers: request.headers });
    const waitMs = Number(url.searchParams.get("ms") ?? 0);
    if (url.pathname === "/healthz" && failing.has(name)) response.writeHead(500);
    if (url.pathname === "/pretend") response.setHeader("x-clearway-reason", "policy-denied");
    setTimeout(() => response.end(`${name} ${request.method} ${url.pathname}`), waitMs);
  });
  // Longer than a proxy keeps an unused connection: otherwise a request may meet its end.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    requests,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Names of apps whose `/healthz` says that they are unwell. */
export const failing = new Set<string>();
