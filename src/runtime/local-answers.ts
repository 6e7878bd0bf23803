/** Routes that no service answers - `respond` and `redirect` - and what `rewrite` makes of a request. */
import type { RouteConfig } from "../snapshot.ts";
import type { RequestHead } from "../types.ts";
import type { EditedHead } from "./http1/answer.ts";
import type { RequestLine } from "./http1/request-writer.ts";
import type { LiveRoute } from "./live-route.ts";
import { rewritePath, starRemainder } from "./match.ts";

export interface LocalAnswer {
  readonly head: EditedHead;
  readonly body: string;
}

/** The answer of a route that ends in `respond` or `redirect`. */
export function localAnswer(route: RouteConfig, request: RequestHead): LocalAnswer {
  const { action } = route;
  if (action.kind === "redirect") {
    const added = ["location", redirectTarget(route, request)];
    return { head: { status: action.status, reason: null, fields: null, removed: [], added }, body: "" };
  }
  if (action.kind !== "respond") throw new Error(`route ${route.name} has no answer of its own`);
  const added = action.headers.flat();
  const typed = action.headers.some(([name]) => name.toLowerCase() === "content-type");
  if (!typed && action.body !== "") added.push("content-type", "text/plain; charset=utf-8");
  return {
    head: { status: action.status, reason: null, fields: null, removed: [], added },
    body: action.body,
  };
}

function redirectTarget(route: RouteConfig, request: RequestHead): string {
  if (route.action.kind !== "redirect") return "";
  const { scheme, host, path } = route.action;
  const target = path === null ? request.path : rewritePath(path, starRemainder(route.match, request.path));
  const query = request.query === "" ? "" : `?${request.query}`;
  // A location that begins with "//" would name another host.
  if (scheme === null && host === null) return target.replace(/^\/+/, "/") + query;
  return `${scheme ?? request.scheme}://${host ?? request.authority}${target}${query}`;
}

/** Null for what stays as it came. */
interface Rewritten {
  readonly line: RequestLine | null;
  readonly authority: string | null;
}

/** What a route's `rewrite` changes. */
export function rewritten({ config, rewrites }: LiveRoute, request: RequestHead): Rewritten {
  if (rewrites === "no" || config?.action.kind !== "forward") return UNCHANGED;
  const { path, host, match = config.match } = config.action.rewrite;
  if (path === null) return { line: null, authority: host };
  const target = rewritePath(path, starRemainder(match, request.path));
  const query = request.query === "" ? "" : `?${request.query}`;
  return { line: { method: request.method, target: target + query }, authority: host };
}

const UNCHANGED: Rewritten = { line: null, authority: null };
