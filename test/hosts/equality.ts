/** Bun's `toEqual` and `toMatchObject`, over what the suites compare: data, errors, maps, sets and bytes. */

export function equal(got: unknown, wanted: unknown): boolean {
  if (Object.is(got, wanted)) return true;
  if (!isObject(got) || !isObject(wanted)) return false;
  if (kindOf(got) !== kindOf(wanted)) return false;
  if (got instanceof Error && wanted instanceof Error) return got.message === wanted.message;
  if (got instanceof Date && wanted instanceof Date) return got.getTime() === wanted.getTime();
  if (got instanceof RegExp) return String(got) === String(wanted);
  if (got instanceof Map && wanted instanceof Map) return equal(sorted(got), sorted(wanted));
  if (got instanceof Set && wanted instanceof Set) return equal(sorted(got), sorted(wanted));
  const keys = new Set([...ownKeys(got), ...ownKeys(wanted)]);
  return [...keys].every((key) => equal(got[key], wanted[key])) && lengthOf(got) === lengthOf(wanted);
}

/** Whether all that `wanted` has is in `got` too. */
export function contains(got: unknown, wanted: unknown): boolean {
  if (!isObject(wanted) || !isObject(got) || wanted instanceof RegExp) return equal(got, wanted);
  if (Array.isArray(wanted) && lengthOf(got) !== wanted.length) return false;
  return Object.keys(wanted).every((key) => contains(got[key], wanted[key]));
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

/** `Array`, `Map`, `Uint8Array`; a Buffer is no other kind than the bytes that it is, a class none than its fields. */
function kindOf(value: object): string {
  return Object.prototype.toString.call(value);
}

/** Without those of undefined, which count as absent. */
function ownKeys(value: Fields): string[] {
  return Object.keys(value).filter((key) => value[key] !== undefined);
}

function lengthOf(value: Fields): unknown {
  return Array.isArray(value) ? value.length : null;
}

/** Entries in an order that does not depend on insertion. */
function sorted(entries: Iterable<unknown>): unknown[] {
  return [...entries].toSorted((a, b) => (String(a) < String(b) ? -1 : 1));
}
