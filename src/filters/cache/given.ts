/** An answer as one caller asked for it: whole, or the word that the caller has it already. */
import type { Asked } from "./asked.ts";
import { parseHttpDate } from "./http-date.ts";

/** Fields that tell of a body, which 304 has not (RFC 9110, section 15.4.5). */
const OF_THE_BODY = [
  "content-type",
  "content-encoding",
  "content-language",
  "content-length",
  "content-range",
];
const OK = 200;
const NOT_MODIFIED = 304;

/**
 * The answer, or 304 where the caller's condition says so; uses up what it is given. One to HEAD has its body still, by
 * which filters further out tell of the one that GET would get: it is left off when the answer is written.
 */
export function asAsked({ headers }: Asked, answer: Response): Response {
  if (answer.status === OK && hasItAlready(headers, answer.headers)) {
    const told = new Headers(answer.headers);
    answer.body?.cancel().catch(() => {});
    for (const name of OF_THE_BODY) told.delete(name);
    return new Response(null, { status: NOT_MODIFIED, headers: told });
  }
  return answer;
}

/** RFC 9110, section 13.2.2: a tag decides where the caller names one, and the date only where it does not. */
function hasItAlready(asked: Headers, told: Headers): boolean {
  const tags = asked.get("if-none-match");
  if (tags !== null) {
    const tag = told.get("etag");
    return tags.trim() === "*" || (tag !== null && tagsIn(tags).includes(opaque(tag)));
  }
  const since = asked.get("if-modified-since");
  // RFC 9111, section 4.3.2: what does not say when it changed is as old as the answer, at least.
  const modified = told.get("last-modified") ?? told.get("date");
  if (since === null || modified === null) return false;
  const sinceMs = parseHttpDate(since);
  const modifiedMs = parseHttpDate(modified);
  return sinceMs !== null && modifiedMs !== null && modifiedMs <= sinceMs;
}

const entityTag = /(?:W\/)?("[^"]*")/g;

/** Compared weakly (RFC 9110, section 8.8.3.2). */
function tagsIn(text: string): readonly string[] {
  return [...text.matchAll(entityTag)].map(([, tag]) => tag!);
}

function opaque(tag: string): string {
  return tag.trim().replace(/^W\//, "");
}

/** The same tag, if the other side told one at all. */
export function isSameTag(told: string | null, kept: string | null): boolean {
  return told === null || (kept !== null && opaque(told) === opaque(kept));
}

/** Whether the service can be asked if it still holds. */
export function hasValidator(headers: Headers): boolean {
  return headers.has("etag") || headers.has("last-modified");
}

/** The request with conditions of the kept answer in place of the caller's; of none, without any. */
export function conditional(request: Request, kept: { readonly headers: Headers } | null): Request {
  const { headers } = request;
  headers.delete("if-none-match");
  headers.delete("if-modified-since");
  const tag = kept?.headers.get("etag") ?? null;
  const modified = kept?.headers.get("last-modified") ?? null;
  if (tag !== null) headers.set("if-none-match", tag);
  if (modified !== null) headers.set("if-modified-since", modified);
  return request;
}
