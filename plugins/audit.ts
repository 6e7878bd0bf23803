/**
 * Downstream. Writes who did what, when, and what came of it: one line of JSON for each request that changes something,
 * after its last byte. What may be secret is not written: no query, no body, and of the headers only those in `headers`,
 * among which the ones that carry credentials cannot be. What callers choose is cut at a maximum.
 *
 * Lines are written in the background, at most 1 MiB waits. What is lost behind a full disk is counted and logged.
 */
import { defineFilter, type Middleware, path, type RequestSummary, z } from "clearway/plugin";

type Context = Parameters<Middleware>[0];

const PATH_CHARACTERS_MAX = 1024;
const TEXT_CHARACTERS_MAX = 256;
const secretHeader =
  /^(authorization|proxy-authorization|cookie|set-cookie)$|api-?key|token|secret|password|signature/i;

const pattern = z
  .string()
  .regex(
    /^\/([^?#*]*|([^?#*]*\/)?\*)$/,
    "wanted a path such as /charge, or one with a * as its last part such as /admin/*",
  );

const header = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, "wanted the name of a header")
  .refine(
    (name) => !secretHeader.test(name),
    "wanted a header that carries no secret: an audit is read by many",
  );

const options = z.strictObject({
  to: path().describe("file that the lines are added to, relative to the config file"),
  methods: z
    .array(z.string().regex(/^[A-Z]{1,32}$/, "wanted a method such as POST, in capitals"))
    .min(1)
    .default(["POST", "PUT", "PATCH", "DELETE"])
    .describe("methods that are written down"),
  paths: z
    .array(pattern)
    .min(1)
    .max(100)
    .default(["/*"])
    .describe("paths that are written down; a * ends one"),
  headers: z.array(header).max(16).default([]).describe("headers of the request that are written down too"),
});

export default defineFilter({
  name: "audit",
  summary: "Writes to a file who did what, when, and what came of it",
  options,
  middleware: ({ to, methods, paths, headers }, { file, clock, log, metrics }) => {
    const appender = file(to);
    let lost = appender.dropped;
    const write = (entry: object) => {
      appender.line(JSON.stringify(entry).replace(NOT_ASCII, escapeCharacter));
      if (appender.dropped === lost) return;
      lost = appender.dropped;
      metrics.count("audit_lost");
      log.error("an audit line could not be written", { file: to });
    };
    return (c, next) => {
      const { method } = c.req.raw;
      if (!methods.includes(method) || !paths.some((one) => takes(one, c.req.path))) return next();
      // Now: later filters may change the request, and it may take long.
      const seen = {
        time: new Date(clock.epochMs()).toISOString(),
        method,
        host: cut(hostOf(c.req.raw.url)),
        path: cut(c.req.path, PATH_CHARACTERS_MAX),
        headers: Object.fromEntries(headers.map((name) => [name, cut(c.req.raw.headers.get(name))])),
      };
      c.env.finished((summary) => write({ ...seen, ...whoOf(c), ...outcomeOf(summary) }));
      return next();
    };
  },
});

/** As in a route's match: `/admin/*` takes `/admin` too. */
function takes(pattern: string, path: string): boolean {
  if (!pattern.endsWith("/*")) return path === pattern;
  const folder = pattern.slice(0, -1);
  return path.startsWith(folder) || `${path}/` === folder;
}

/** What filters further inside found out, so this is asked at the end. */
function whoOf(c: Context) {
  const claims = c.get("claims") as { readonly sub?: unknown } | undefined;
  const { remoteAddress, identity } = c.env;
  const requestId = cut(c.get("requestId"));
  return { remoteAddress, identity, caller: cut(c.get("caller")), subject: cut(claims?.sub), requestId };
}

/** `cut`: the caller did not get the whole answer. Where Clearway itself refused, `reason` says why. */
function outcomeOf({ status, reason, complete, route, service, durationMs }: RequestSummary) {
  let outcome = "done";
  if (status >= 500) outcome = "failed";
  else if (status >= 400) outcome = "refused";
  else if (!complete) outcome = "cut";
  return { outcome, status, reason, route, service, durationMs: Math.round(durationMs) };
}

function cut(value: unknown, charactersMax = TEXT_CHARACTERS_MAX): string | null {
  return typeof value === "string" ? value.slice(0, charactersMax) : null;
}

function hostOf(url: string): string {
  return /^[a-z]+:\/\/([^/?#]*)/.exec(url)?.[1] ?? "";
}

/** So that nobody forges a line, or talks to the terminal of who reads it. */
const NOT_ASCII = /[\x7f-\uffff]/g;

function escapeCharacter(character: string): string {
  return `\\u${(0x10000 + character.charCodeAt(0)).toString(16).slice(1)}`;
}
