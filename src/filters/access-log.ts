/**
 * Downstream. Writes one line for each request when the last byte of its answer left, or never will. The line is
 * plain ASCII whatever a caller sends: all else is escaped, so nobody can forge a line or talk to a terminal, and
 * what callers choose is cut at a maximum. The text form is the Combined Log Format without the HTTP version, with
 * `name=value` pairs behind it.
 */
import { type Bindings, defineFilter, percent, type RequestSummary, z } from "../plugin.ts";

/** Characters of a value, before escaping. */
const METHOD_MAX = 32;
const HOST_MAX = 255;
const PATH_MAX = 2048;
const TEXT_MAX = 256;

const options = z.strictObject({
  format: z.enum(["json", "text"]).default("json").describe("form of a line; default json"),
  to: z.string().min(1).default("stdout").describe("stdout, stderr or the path of a file; default stdout"),
  sample: percent()
    .default(1)
    .describe(
      "share of the requests that are logged; those that fail (status 5xx, answer cut short) always are; default 100%",
    ),
});

/** What the line says of the request, read before any later filter changed it. */
interface Seen {
  readonly method: string;
  readonly url: string;
  readonly referer: string | null;
  readonly userAgent: string | null;
}

interface Entry extends Seen {
  readonly epochMs: number;
  readonly env: Bindings;
  readonly summary: RequestSummary;
  readonly requestId: string | null;
}

export default defineFilter({
  name: "access-log",
  summary: "Writes one line for each request, after its last byte",
  options,
  middleware: ({ format, to, sample }, tools) => {
    const { clock, random } = tools;
    const appender = tools.file(to);
    const write = format === "json" ? jsonLine : textLine;
    return (c, next) => {
      const { method, url, headers } = c.req.raw;
      const referer = format === "text" ? headers.get("referer") : null;
      const seen: Seen = { method, url, referer, userAgent: headers.get("user-agent") };
      const sampled = sample === 1 || random.fraction() < sample;
      c.env.finished((summary) => {
        const failed = summary.status >= 500 || !summary.complete;
        if (!sampled && !failed) return;
        const id: unknown = c.get("requestId");
        const requestId = typeof id === "string" ? id : null;
        appender.line(write({ ...seen, epochMs: clock.epochMs(), env: c.env, summary, requestId }));
      });
      return next();
    };
  },
});

function jsonLine({ epochMs, env, summary, ...seen }: Entry): string {
  const [host, path] = hostAndPath(seen.url);
  return (
    `{"time":"${new Date(epochMs).toISOString()}","remoteAddress":${json(env.remoteAddress)}` +
    `,"identity":${json(env.identity)},"method":${json(seen.method, METHOD_MAX)},"host":${json(host, HOST_MAX)}` +
    `,"path":${json(path, PATH_MAX)},"status":${summary.status},"reason":${json(summary.reason)}` +
    `,"complete":${summary.complete},"requestBytes":${summary.requestBytes}` +
    `,"responseBytes":${summary.responseBytes},"durationMs":${thousandths(summary.durationMs)}` +
    `,"listener":${json(summary.listener)},"route":${json(summary.route)},"service":${json(summary.service)}` +
    `,"endpoint":${json(summary.endpoint)},"attempts":${summary.attempts}` +
    `,"requestId":${json(seen.requestId, TEXT_MAX)},"userAgent":${json(seen.userAgent, TEXT_MAX)}}`
  );
}

function textLine({ epochMs, env, summary, ...seen }: Entry): string {
  const [host, path] = hostAndPath(seen.url);
  return (
    `${word(env.remoteAddress)} - ${word(env.identity)} [${combinedTime(epochMs)}]` +
    ` "${quoted(seen.method, METHOD_MAX)} ${quoted(path, PATH_MAX)}" ${summary.status} ${summary.responseBytes}` +
    ` "${quoted(seen.referer ?? "-", TEXT_MAX)}" "${quoted(seen.userAgent ?? "-", TEXT_MAX)}"` +
    ` durationMs=${thousandths(summary.durationMs)} host=${word(host, HOST_MAX)} reason=${word(summary.reason)}` +
    ` complete=${summary.complete} requestBytes=${summary.requestBytes} listener=${word(summary.listener)}` +
    ` route=${word(summary.route)} service=${word(summary.service)} endpoint=${word(summary.endpoint)}` +
    ` attempts=${summary.attempts} requestId=${word(seen.requestId, TEXT_MAX)}`
  );
}

function hostAndPath(url: string): [host: string, path: string] {
  const start = url.indexOf("://") + 3;
  const slash = url.indexOf("/", start);
  return slash < 0 ? [url.slice(start), ""] : [url.slice(start, slash), url.slice(slash)];
}

const UNSAFE = /[^\x20-\x7e]|["\\]/g;
const UNSAFE_IN_WORD = /[^\x21-\x7e]|["\\]/g;

function json(text: string | null, charactersMax = TEXT_MAX): string {
  return text === null ? "null" : `"${escapeAs(text.slice(0, charactersMax), UNSAFE)}"`;
}

function quoted(text: string, charactersMax: number): string {
  return escapeAs(text.slice(0, charactersMax), UNSAFE);
}

/** Text outside quotes: a space would end it. */
function word(text: string | null, charactersMax = TEXT_MAX): string {
  return text === null || text === "" ? "-" : escapeAs(text.slice(0, charactersMax), UNSAFE_IN_WORD);
}

function escapeAs(text: string, unsafe: RegExp): string {
  return text.search(unsafe) < 0 ? text : text.replace(unsafe, escapeCharacter);
}

function escapeCharacter(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function thousandths(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

/** `22/Nov/2025:23:52:01 +0000` */
function combinedTime(epochMs: number): string {
  const [, day, month, year, time] = new Date(epochMs).toUTCString().split(" ");
  return `${day}/${month}/${year}:${time} +0000`;
}
