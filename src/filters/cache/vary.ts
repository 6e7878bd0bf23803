/** Which fields of a request an answer was chosen by (RFC 9110, section 12.5.5; RFC 9111, section 4.1). */

const NAMES_MAX = 16;
const VALUES_LENGTH_MAX = 4096;
/** The node writes these itself, later: what a caller sent there is not what the service chose by. */
const WRITTEN_HERE = new Set([
  "via",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
]);

const none: readonly string[] = [];

/** In lower case; null when no other request can be known to get the same answer. */
export function variedNames(headers: Headers): readonly string[] | null {
  const text = headers.get("vary");
  if (text === null) return none;
  const names = new Set(
    text
      .toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  );
  names.delete("");
  if (names.has("*") || names.size > NAMES_MAX) return null;
  for (const name of names) if (WRITTEN_HERE.has(name)) return null;
  return [...names];
}

/** What a request says in these fields, comparable; null when it is too much to be kept. */
export function variedValues(names: readonly string[], headers: Headers): string | null {
  if (names.length === 0) return "";
  // No field can hold a line break: two requests have the same text only when they have the same fields.
  const text = names.map((name) => comparable(headers.get(name))).join("\n");
  return text.length > VALUES_LENGTH_MAX ? null : text;
}

/** One that is not there differs from one that is empty; spaces around commas mean nothing. */
function comparable(value: string | null): string {
  return value === null ? "-" : `=${value.replace(/[\t ]*,[\t ]*/g, ",")}`;
}
