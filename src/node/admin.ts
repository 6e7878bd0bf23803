/** The admin surface of a node: health, metrics, configuration, problems. */
import { type Context, Hono } from "hono";
import type { Problem } from "../snapshot.ts";

export interface AdminSource {
  /** Null when ready, else the reason why not, in one line. */
  unready(): string | null;
  /** What is wrong although it is ready, one line each. */
  warnings(): readonly string[];
  /** In Prometheus's text format. */
  metrics(): Promise<string>;
  snapshot(): Promise<unknown>;
  /** Of the last refused configuration; empty when the newest one is live. */
  problems(): readonly Problem[];
  /** The host that admin is bound to, as configured. */
  bindHost(): string;
}

const pages: readonly (readonly [path: string, what: string])[] = [
  ["/healthz", "200 while the node runs"],
  ["/readyz", "200 while every worker serves the current configuration"],
  ["/metrics", "what was measured, for Prometheus"],
  ["/snapshot", "what the node serves, with the state of every endpoint, as JSON"],
  ["/problems", "what is wrong with the last refused configuration, as JSON"],
];

export type AdminApp = Hono;

export function adminApp(source: AdminSource): AdminApp {
  const app = new Hono();
  app.use(async (c, next) => {
    const host = hostOf(c.req.header("host") ?? "");
    if (!isAllowedHost(host, source.bindHost())) return refuseHost(c, host);
    if (c.req.method !== "GET" && c.req.method !== "HEAD") {
      return c.text(`${c.req.method} does nothing here: use GET\n`, 405, { allow: "GET, HEAD" });
    }
    return next();
  });
  app.get("/", (c) => c.html(indexPage));
  app.get("/healthz", (c) => c.text("ok\n"));
  app.get("/readyz", (c) => {
    const reason = source.unready();
    if (reason !== null) return c.text(`not ready: ${reason}\n`, 503);
    return c.text(["ready", ...source.warnings().map((warning) => `warning: ${warning}`), ""].join("\n"));
  });
  app.get("/metrics", async (c) =>
    c.body(await source.metrics(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );
  app.get("/snapshot", async (c) => c.json(await source.snapshot()));
  app.get("/problems", (c) => c.json({ problems: source.problems() }));
  app.notFound((c) => c.text(`nothing at ${c.req.path}: see / for what there is\n`, 404));
  return app;
}

const indexPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Clearway</title>
<h1>Clearway</h1>
<ul>
${pages.map(([path, what]) => `<li><a href="${path}">${path}</a>: ${what}</li>`).join("\n")}
</ul>
</html>
`;

/** Without port and brackets, in lower case. */
function hostOf(authority: string): string {
  const host = authority.startsWith("[") ? authority.slice(1).split("]")[0]! : authority.split(":")[0]!;
  return host.toLowerCase();
}

/**
 * A web page may point a name of its own at this machine and then read whatever answers (DNS rebinding); an address
 * or a local name cannot be pointed anywhere. HTTP/1.0 probes send no Host, browsers always do.
 */
function isAllowedHost(host: string, bindHost: string): boolean {
  return host === "" || host === "localhost" || host === bindHost.toLowerCase() || isAddress(host);
}

function isAddress(host: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) || (host.includes(":") && /^[0-9a-f:.]+$/.test(host));
}

function refuseHost(c: Context, host: string): Response {
  const why = `the host ${JSON.stringify(host)} may be somebody else's name for this machine (DNS rebinding)`;
  return c.text(`${why}: ask by IP address, localhost, or the host that admin is bound to\n`, 403);
}
