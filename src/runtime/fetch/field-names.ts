/** Names and values of fields as the Headers class takes and gives them. */
import { FIELD_VALUE, TOKEN } from "../http1/characters.ts";

/** Names seen and found right; a program uses few, a caller's own names must not fill the memory. */
const KNOWN_NAMES_MAX = 1024;
const knownNames = new Map<string, string>();

/** The name in lower case; throws a TypeError when it is no token (RFC 9110 section 5.1). */
export function lowerName(name: string): string {
  const known = knownNames.get(name);
  return known === undefined ? learnName(name) : known;
}

function learnName(given: unknown): string {
  const name = String(given);
  if (!isToken(name)) {
    throw new TypeError(
      `cannot use ${JSON.stringify(name)} as a header name: wanted a token such as x-request-id`,
    );
  }
  const lower = name.toLowerCase();
  if (knownNames.size < KNOWN_NAMES_MAX) knownNames.set(name, lower);
  return lower;
}

/** RFC 9110 section 5.6.2. */
export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (TOKEN[text.charCodeAt(i)] !== 1) return false;
  return text.length > 0;
}

/**
 * The value without white space around it; throws a TypeError when it holds what may not stand in a field. Stricter
 * than the Fetch standard, which lets control characters pass: our own codec would refuse them on the next hop.
 */
export function fieldValue(given: unknown, name: string): string {
  const value = trimmed(String(given));
  for (let i = 0; i < value.length; i++) {
    if (FIELD_VALUE[value.charCodeAt(i)] !== 1) {
      throw new TypeError(
        `cannot set header ${name} to ${JSON.stringify(value)}: wanted characters up to U+00FF and no control characters`,
      );
    }
  }
  return value;
}

function trimmed(value: string): string {
  if (!isSpace(value.charCodeAt(0)) && !isSpace(value.charCodeAt(value.length - 1))) return value;
  return value.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 13;
}
