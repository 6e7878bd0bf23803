/**
 * Whether an answer may be kept, and for how long it may be given (RFC 9111, sections 3 and 4.2), as a cache that many
 * share.
 */
import { type Directives, parseDirectives, parseTargeted } from "./directives.ts";
import { parseHttpDate } from "./http-date.ts";
import { variedNames } from "./vary.ts";

/** What the filter's options say of it; milliseconds. */
export interface KeepingRules {
  /** For answers that say nothing of it; 0 for none. */
  readonly ttl: number;
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
  readonly setCookie: "pass" | "store";
  /** Fields that count in place of `Cache-Control` and `Expires`: the first that is there (RFC 9213). */
  readonly targets: readonly string[];
}

/** How long an answer is fresh, and what may be done with it afterwards; milliseconds. */
export interface Freshness {
  readonly lifetimeMs: number;
  /** `always`: the service is asked before each use (`no-cache`). */
  readonly validation: "always" | "when stale";
  /** Whether a caller's `max-stale` counts. */
  readonly staleForCallers: "allowed" | "forbidden";
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** Fields that are not for others (`private="…"`, `no-cache="…"`), in lower case. */
  readonly withheld: readonly string[];
}

export type NotKept =
  | "status"
  | "own"
  | "no-store"
  | "private"
  | "set-cookie"
  | "vary"
  | "authorized"
  | "stale";

/** Statuses whose meaning is known here, for `must-understand`. */
const UNDERSTOOD = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 421, 451, 500, 501, 502,
  503, 504,
]);
/** Of a part, and of what the asker has. */
const NEVER_KEPT = new Set([206, 304]);
/** For which `ttl` is meant. A refusal could be what one caller's fields led to: it must say itself that it is for all. */
const WITH_TTL = new Set([200, 203, 204, 300, 301, 308]);

export interface Judged {
  readonly answer: Pick<Response, "status" | "headers">;
  /** `authorized`: the request said, or a filter found, who its caller is. */
  readonly asker: "anybody" | "authorized";
  /** When it came, in milliseconds of the epoch. */
  readonly receivedEpochMs: number;
}

export function freshnessOf(judged: Judged, rules: KeepingRules): Freshness | NotKept {
  const { headers, status } = judged.answer;
  const targeted = targetedDirectives(headers, rules);
  const directives = targeted ?? parseDirectives(headers.get("cache-control"));
  const refusal = refused(judged, directives, rules);
  if (refusal !== null) return refusal;
  const expires = targeted === null ? headers.get("expires") : null;
  const lifetimeMs =
    explicitLifetimeMs(judged, directives, expires) ?? (WITH_TTL.has(status) ? rules.ttl : 0);
  // Without a word on it, and without a `ttl`: not to be kept, whatever else the options say.
  if (lifetimeMs === 0 && !says(directives, expires)) return "stale";
  const freshness = withWindows(lifetimeMs, directives, rules);
  return isOfUse(freshness, headers) ? freshness : "stale";
}

function refused({ answer, asker }: Judged, directives: Directives, rules: KeepingRules): NotKept | null {
  const { status, headers } = answer;
  if (NEVER_KEPT.has(status)) return "status";
  // This node's own, or another's: of the moment.
  if (headers.has("x-clearway-reason")) return "own";
  const mustUnderstand = directives.has("must-understand");
  if (mustUnderstand && !UNDERSTOOD.has(status)) return "status";
  if (directives.has("no-store") && !mustUnderstand) return "no-store";
  if (directives.isWhole("private")) return "private";
  if (variedNames(headers) === null) return "vary";
  if (rules.setCookie === "pass" && headers.has("set-cookie") && !withheld(directives).includes("set-cookie"))
    return "set-cookie";
  // RFC 9111, section 3.5.
  const forAll = directives.has("public") || directives.has("s-maxage") || directives.has("must-revalidate");
  return asker === "authorized" && !forAll ? "authorized" : null;
}

/** RFC 9111, section 4.2.1; null where nothing is said. */
function explicitLifetimeMs(
  { answer, receivedEpochMs }: Judged,
  directives: Directives,
  expires: string | null,
): number | null {
  const told = directives.durationMs("s-maxage") ?? directives.durationMs("max-age");
  if (told !== null) return told;
  if (expires === null) return null;
  const expiresMs = parseHttpDate(expires);
  return expiresMs === null ? 0 : Math.max(0, expiresMs - dateOf(answer.headers, receivedEpochMs));
}

function withWindows(lifetimeMs: number, directives: Directives, rules: KeepingRules): Freshness {
  const always = directives.isWhole("no-cache");
  // Section 4.2.4. `s-maxage` forbids it to callers too (5.2.2.10), but not what the answer itself allows beside it.
  const forbidden = always || directives.has("must-revalidate") || directives.has("proxy-revalidate");
  const window = (name: string, otherwise: number) =>
    forbidden ? 0 : (directives.durationMs(name) ?? otherwise);
  return {
    lifetimeMs,
    validation: always ? "always" : "when stale",
    staleForCallers: forbidden || directives.has("s-maxage") ? "forbidden" : "allowed",
    staleWhileRevalidateMs: window("stale-while-revalidate", rules.staleWhileRevalidate),
    staleIfErrorMs: window("stale-if-error", rules.staleIfError),
    withheld: withheld(directives),
  };
}

/** Kept is what can be given at some time, or spares the service the body. */
function isOfUse({ lifetimeMs, validation, ...windows }: Freshness, headers: Headers): boolean {
  if (headers.has("etag") || headers.has("last-modified")) return true;
  return validation !== "always" && lifetimeMs + windows.staleWhileRevalidateMs + windows.staleIfErrorMs > 0;
}

function targetedDirectives(headers: Headers, { targets }: KeepingRules): Directives | null {
  for (const name of targets) {
    const text = headers.get(name);
    const found = text === null ? null : parseTargeted(text);
    if (found !== null) return found;
  }
  return null;
}

function says(directives: Directives, expires: string | null): boolean {
  return expires !== null || ["s-maxage", "max-age", "no-cache"].some((name) => directives.has(name));
}

function withheld(directives: Directives): readonly string[] {
  return [...(directives.fields("private") ?? []), ...(directives.fields("no-cache") ?? [])];
}

/** When the service says that it made the answer; when it came, if it does not say. */
function dateOf(headers: Headers, receivedEpochMs: number): number {
  const date = headers.get("date");
  return (date === null ? null : parseHttpDate(date)) ?? receivedEpochMs;
}

/** How old an answer was when it came, on the clocks of all who had it (RFC 9111, section 4.2.3). */
export function initialAgeMs(
  headers: Headers,
  { receivedEpochMs, delayMs }: { receivedEpochMs: number; delayMs: number },
): number {
  const age = headers.get("age") ?? "";
  const told = /^(\d{1,10})\s*(,|$)/.exec(age)?.[1];
  // A date says whole seconds.
  const apparentMs = Math.max(
    0,
    Math.floor((receivedEpochMs - dateOf(headers, receivedEpochMs)) / 1000) * 1000,
  );
  return Math.max(apparentMs, (told === undefined ? 0 : Number(told) * 1000) + delayMs);
}
