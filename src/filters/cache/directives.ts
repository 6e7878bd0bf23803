/** The directives of a `Cache-Control` field, of a request or of an answer (RFC 9111, section 5.2). */

/** Larger ones mean this (RFC 9111, section 1.2.2). */
const SECONDS_MAX = 2 ** 31;
const member = /([^\s,;="]+)(=(?:"((?:[^"\\]|\\.)*)"|([^,"]*)))?/g;

export class Directives {
  /** Names in lower case; of one that is there twice, the first counts (section 4.2.1). */
  readonly #values: ReadonlyMap<string, string | null>;

  constructor(values: ReadonlyMap<string, string | null>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** There, and without an argument. */
  isBare(name: string): boolean {
    return this.#values.get(name) === null;
  }

  /** Milliseconds; null when it is not there, 0 when it says no number: what cannot be read is stale. */
  durationMs(name: string): number | null {
    const text = this.#values.get(name);
    if (text === undefined) return null;
    return text !== null && /^\d{1,20}$/.test(text) ? Math.min(Number(text), SECONDS_MAX) * 1000 : 0;
  }

  /** The fields that a directive is limited to, in lower case; null when it is not there or has no limits. */
  fields(name: string): readonly string[] | null {
    const text = this.#values.get(name);
    if (text === undefined || text === null) return null;
    return text
      .split(",")
      .map((field) => field.trim().toLowerCase())
      .filter((field) => field !== "");
  }

  /** There, and meant of the whole answer. */
  isWhole(name: string): boolean {
    return this.#values.has(name) && (this.fields(name)?.length ?? 0) === 0;
  }
}

const none = new Directives(new Map());

export function parseDirectives(text: string | null): Directives {
  if (text === null || text === "") return none;
  const values = new Map<string, string | null>();
  for (const [, name, argument, quoted, token] of text.matchAll(member)) {
    const lower = name!.toLowerCase();
    if (values.has(lower)) continue;
    const value = quoted === undefined ? (token ?? "").trimEnd() : quoted.replace(/\\(.)/g, "$1");
    values.set(lower, argument === undefined ? null : value);
  }
  return new Directives(values);
}

const item = String.raw`\d{1,15}|\?[01]|"(?:[ !#-[\]-~]|\\["\\])*"|[A-Za-z*][!#$%&'*+.^_\x60|~:/A-Za-z0-9-]*`;
const entry = new RegExp(String.raw`[\t ]*[a-z*][a-z0-9_.*-]*(?:=(?:${item}))?[\t ]*(?:,|$)`, "y");

/** A field for one kind of cache (RFC 9213); null when it is no dictionary of structured fields, and so says nothing. */
export function parseTargeted(text: string): Directives | null {
  entry.lastIndex = 0;
  while (entry.lastIndex < text.length) if (!entry.test(text)) return null;
  // A number in quotes is text there.
  if (/(?:max-?age|stale-[a-z-]+)="/.test(text)) return null;
  return text.trim() === "" || text.trimEnd().endsWith(",") ? null : parseDirectives(text);
}
