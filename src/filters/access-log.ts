/**
 * Downstream. Writes one line for each request when the last byte of its answer left, or never will. The line is
 * plain ASCII whatever a caller sends: all else is escaped, so nobody can forge a line or talk to a terminal, and
 * what callers choose is cut at a maximum. The text form is the Combined Log Format without the HTTP version, with
 * `name=value` pairs behind it.
 */
import {
  type Bindings,
  defineFilter,
  type Middleware,
  path,
  percent,
  type RequestSummary,
  z,
} from "../plugin.ts";

type Context = Parameters<Middleware>[0];

/** Characters of a value, before escaping. */
const METHOD_MAX = 32;
const HOST_MAX = 255;
const PATH_MAX = 2048;
const TEXT_MAX = 256;
/** Endpoints whose texts are kept. */
const PLACES_MAX = 1_000;

const options = z.strictObject({
  format: z.enum(["json", "text"]).default("json").describe("form of a line"),
  to: z
    .union([z.enum(["stdout", "stderr"]), path()], "wanted stdout, stderr or the path of a file")
    .default("stdout")
    .describe("where the lines go; a path is relative to the config file"),
  sample: percent()
    .default(1)
    .describe(
      "share of the requests that are logged; those that fail (status 5xx, answer cut short) always are",
    ),
});

/** What the line says of the request, read before any later filter changed it. */
interface Seen {
  readonly method: string;
  readonly url: string;
  readonly referer: string | null;
  readonly userAgent: string | null;
  /** Whether it is written whatever becomes of it. */
  readonly sampled: boolean;
}

interface Entry {
  readonly time: string;
  readonly env: Bindings;
  readonly seen: Seen;
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
    const [write, time] = format === "json" ? [jsonLines(), jsonTimes()] : [textLine, combinedTimes()];
    const reporter = (c: Context, seen: Seen) => (summary: RequestSummary) => {
      const failed = summary.status >= 500 || !summary.complete;
      if (!seen.sampled && !failed) return;
      const id: unknown = c.get("requestId");
      const requestId = typeof id === "string" ? id : null;
      appender.line(write({ time: time(clock.epochMs()), env: c.env, seen, summary, requestId }));
    };
    return (c, next) => {
      const { method, url, headers } = c.req.raw;
      const referer = format === "text" ? headers.get("referer") : null;
      const sampled = sample === 1 || random.fraction() < sample;
      c.env.finished(reporter(c, { method, url, referer, userAgent: headers.get("user-agent"), sampled }));
      return next();
    };
  },
});

/** What is the same in line after line is kept in its quoted form: a line is put together from half as many pieces. */
function jsonLines(): (entry: Entry) => string {
  const callerText = keptCaller();
  const targetText = keptTarget();
  const outcomeText = keptOutcome();
  const placeText = keptPlaces();
  const agentText = keptAgent();
  return ({ time, env, seen, summary, requestId }) =>
    `{"time":"${time}"${callerText(env.remoteAddress, env.identity)}${targetText(seen)}` +
    `${outcomeText(summary)}${thousandths(summary.durationMs)}${placeText(summary)}` +
    `,"attempts":${summary.attempts},"requestId":${json(requestId)}${agentText(seen.userAgent)}`;
}

/** What became of it; of small answers many are of one length. */
function keptOutcome(): (summary: RequestSummary) => string {
  let latest: RequestSummary | null = null;
  let text = "";
  return (summary) => {
    const { status, reason, complete, requestBytes, responseBytes } = summary;
    const isSame =
      latest !== null &&
      latest.responseBytes === responseBytes &&
      latest.requestBytes === requestBytes &&
      latest.status === status &&
      latest.reason === reason &&
      latest.complete === complete;
    if (!isSame) {
      latest = summary;
      text =
        `,"status":${status},"reason":${json(reason)},"complete":${complete}` +
        `,"requestBytes":${requestBytes},"responseBytes":${responseBytes},"durationMs":`;
    }
    return text;
  };
}

function keptAgent(): (userAgent: string | null) => string {
  let latest: string | null | undefined;
  let text = "";
  return (userAgent) => {
    if (userAgent !== latest) {
      latest = userAgent;
      text = `,"userAgent":${json(userAgent)}}`;
    }
    return text;
  };
}

function keptCaller(): (address: string, identity: string | null) => string {
  let latest: { readonly address: string; readonly identity: string | null } | null = null;
  let text = "";
  return (address, identity) => {
    if (latest === null || latest.address !== address || latest.identity !== identity) {
      latest = { address, identity };
      text = `,"remoteAddress":${json(address)},"identity":${json(identity)}`;
    }
    return text;
  };
}

/** Method, host and path, of which the path is mostly another one. */
function keptTarget(): (seen: Seen) => string {
  let latestMethod = "";
  let latestOrigin: string | null = null;
  let text = "";
  return ({ method, url }) => {
    const isSame =
      latestOrigin !== null &&
      method === latestMethod &&
      url.startsWith(latestOrigin) &&
      // One host may be the begin of another.
      url.charCodeAt(latestOrigin.length) === SLASH;
    if (!isSame) {
      const [host, path] = hostAndPath(url);
      latestMethod = method;
      latestOrigin = url.slice(0, url.length - path.length);
      text = `,"method":${json(method, METHOD_MAX)},"host":${json(host, HOST_MAX)},"path":"`;
    }
    return `${text}${quoted(url.slice(latestOrigin!.length), PATH_MAX)}"`;
  };
}

/** Where requests went: as many texts as there are endpoints, while these are few. */
function keptPlaces(): (summary: RequestSummary) => string {
  const places = new Map<string | null, { readonly summary: RequestSummary; readonly text: string }>();
  return (summary) => {
    const { listener, route, service, endpoint } = summary;
    const kept = places.get(endpoint);
    const isSame =
      kept?.summary.route === route && kept.summary.service === service && kept.summary.listener === listener;
    if (isSame) return kept.text;
    if (places.size >= PLACES_MAX) places.clear();
    const text = `,"listener":${json(listener)},"route":${json(route)},"service":${json(service)},"endpoint":${json(endpoint)}`;
    places.set(endpoint, { summary, text });
    return text;
  };
}

function textLine({ time, env, seen, summary, requestId }: Entry): string {
  const [host, path] = hostAndPath(seen.url);
  return (
    `${word(env.remoteAddress)} - ${word(env.identity)} [${time}]` +
    ` "${quoted(seen.method, METHOD_MAX)} ${quoted(path, PATH_MAX)}" ${summary.status} ${summary.responseBytes}` +
    ` "${quoted(seen.referer ?? "-", TEXT_MAX)}" "${quoted(seen.userAgent ?? "-", TEXT_MAX)}"` +
    ` durationMs=${thousandths(summary.durationMs)} host=${word(host, HOST_MAX)} reason=${word(summary.reason)}` +
    ` complete=${summary.complete} requestBytes=${summary.requestBytes} listener=${word(summary.listener)}` +
    ` route=${word(summary.route)} service=${word(summary.service)} endpoint=${word(summary.endpoint)}` +
    ` attempts=${summary.attempts} requestId=${word(requestId, TEXT_MAX)}`
  );
}

function hostAndPath(url: string): [host: string, path: string] {
  const start = url.indexOf("://") + 3;
  const slash = url.indexOf("/", start);
  return slash < 0 ? [url.slice(start), ""] : [url.slice(start, slash), url.slice(slash)];
}

const SLASH = 0x2f;
const UNSAFE = /[^\x20-\x7e]|["\\]/;
const NOT_ASCII = /[\x7f-\uffff]/g;

function json(text: string | null, charactersMax = TEXT_MAX): string {
  return text === null ? "null" : `"${quoted(text, charactersMax)}"`;
}

/** What stands between quotes. */
function quoted(text: string, charactersMax: number): string {
  const cut = text.slice(0, charactersMax);
  return UNSAFE.test(cut) ? escaped(cut) : cut;
}

/** Text outside quotes, where a space would end it. */
function word(text: string | null, charactersMax = TEXT_MAX): string {
  return text === null || text === "" ? "-" : quoted(text, charactersMax).replaceAll(" ", "\\u0020");
}

/** By JSON's own escaping first: character by character a path of quotes cost more than the request around it. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1).replace(NOT_ASCII, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u${(0x10000 + character.charCodeAt(0)).toString(16).slice(1)}`;
}

/** Of shorter ones the texts are kept: to write such a number takes twice as long as to find it. */
const DURATION_KEPT_MAX_US = 4_096;
const durationTexts: (string | undefined)[] = Array.from({ length: DURATION_KEPT_MAX_US });

/** Milliseconds, to the microsecond. */
function thousandths(milliseconds: number): string {
  const microseconds = Math.round(milliseconds * 1000);
  if (microseconds < 0 || microseconds >= DURATION_KEPT_MAX_US) return String(microseconds / 1000);
  const known = durationTexts[microseconds];
  if (known !== undefined) return known;
  const text = String(microseconds / 1000);
  durationTexts[microseconds] = text;
  return text;
}

/** `2025-11-22T23:52:01.234Z` (RFC 3339) */
function jsonTimes(): (epochMs: number) => string {
  const second = perSecond((epochMs) => new Date(epochMs).toISOString().slice(0, 19));
  const fractions = Array.from({ length: 1000 }, (_, ms) => `.${String(ms).padStart(3, "0")}Z`);
  return (epochMs) => `${second(epochMs)}${fractions[Math.floor(epochMs) % 1000]}`;
}

/** `22/Nov/2025:23:52:01 +0000` */
function combinedTimes(): (epochMs: number) => string {
  return perSecond((epochMs) => {
    const [, day, month, year, time] = new Date(epochMs).toUTCString().split(" ");
    return `${day}/${month}/${year}:${time} +0000`;
  });
}

/** Formats each second once: a date costs a fifth of a line. */
function perSecond(format: (epochMs: number) => string): (epochMs: number) => string {
  let latest = Number.NaN;
  let text = "";
  return (epochMs) => {
    const second = Math.floor(epochMs / 1000);
    if (second !== latest) {
      latest = second;
      text = format(epochMs);
    }
    return text;
  };
}
