/**
 * `Headers` as an overlay: the fields that came from the wire stay where they are, in one table of offsets; only
 * what a filter removes and adds is recorded. So the codec copies all else as it was: order, case, repeats.
 *
 * The `transfer-encoding` of the wire is not among them: it says how the bytes came over the last connection, and
 * middlewares that find it take the body for one that is coded already.
 */
import type { FieldTable } from "../../types.ts";
import { spells, text } from "../http1/characters.ts";
import { FIELD_STRIDE } from "../http1/head.ts";
import { fieldValue, lowerName } from "./field-names.ts";
import type { FieldEdits, MessageSource } from "./sources.ts";

export type HeadersInput = Headers | LightHeaders | Iterable<readonly string[]> | Record<string, string>;

const HOP = "transfer-encoding";
/** Marks the constructor calls of this folder. */
const fromSource = Symbol("from source");
const noIndices: readonly number[] = [];
const noPairs: readonly string[] = [];

/** What one Headers changed against its source. */
export let editsOf: (headers: LightHeaders) => FieldEdits;
/** The message whose fields these are, also after copying; null when they came from no wire. */
export let sourceOf: (headers: LightHeaders) => MessageSource | null;

export class LightHeaders {
  #source: MessageSource | null = null;
  /** A list is replaced, never changed, while it is shared: it is everybody's empty one, or a copy uses it too. */
  #removed: number[] = noIndices as number[];
  #added: string[] = noPairs as string[];
  #removedShared = true;
  #addedShared = true;
  #sorted: [string, string][] | null = null;

  static {
    editsOf = (headers) => ({
      source: headers.#source === null ? null : headers.#source.fields,
      removed: headers.#removed,
      added: headers.#added,
    });
    sourceOf = (headers) => headers.#source;
  }

  constructor(input?: HeadersInput | typeof fromSource, source?: MessageSource) {
    if (input === undefined) return;
    if (input === fromSource) this.#source = source!;
    else if (typeof input !== "object" || input === null) {
      throw new TypeError(`cannot make Headers of ${String(input)}: wanted pairs, a record or Headers`);
    } else if (#added in input) this.#copy(input);
    else this.#fill(input);
  }

  #copy(other: LightHeaders): void {
    this.#source = other.#source;
    this.#removed = other.#removed;
    this.#added = other.#added;
    other.#removedShared = true;
    other.#addedShared = true;
  }

  #fill(input: object): void {
    if (Symbol.iterator in input) {
      for (const pair of input as Iterable<readonly string[]>) {
        const [name, value, ...more] = pair;
        if (name === undefined || value === undefined || more.length > 0) {
          throw new TypeError(`cannot read a header from ${JSON.stringify(pair)}: wanted a name and a value`);
        }
        this.append(name, value);
      }
    } else for (const [name, value] of Object.entries(input)) this.append(name, value as string);
  }

  get(name: string): string | null {
    const lower = lowerName(name);
    const separator = lower === "cookie" ? "; " : ", ";
    let found: string | null = null;
    if (this.#source !== null) {
      const table = this.#source.fields;
      for (let i = this.#next(table, lower, 0); i >= 0; i = this.#next(table, lower, i + 1)) {
        const value = valueAt(table, i);
        found = found === null ? value : found + separator + value;
      }
    }
    const added = this.#added;
    for (let i = 0; i < added.length; i += 2) {
      if (lowerName(added[i]!) !== lower) continue;
      found = found === null ? added[i + 1]! : found + separator + added[i + 1]!;
    }
    return found;
  }

  has(name: string): boolean {
    const lower = lowerName(name);
    if (this.#source !== null && this.#next(this.#source.fields, lower, 0) >= 0) return true;
    for (let i = 0; i < this.#added.length; i += 2) if (lowerName(this.#added[i]!) === lower) return true;
    return false;
  }

  set(name: string, value: string): void {
    const checked = fieldValue(value, name);
    this.delete(name);
    this.#add(name, checked);
  }

  append(name: string, value: string): void {
    lowerName(name);
    this.#add(name, fieldValue(value, name));
  }

  delete(name: string): void {
    const lower = lowerName(name);
    if (this.#source !== null) {
      const table = this.#source.fields;
      for (let i = this.#next(table, lower, 0); i >= 0; i = this.#next(table, lower, i + 1)) {
        this.#remove(i);
      }
    }
    for (let i = this.#added.length - 2; i >= 0; i -= 2) {
      if (lowerName(this.#added[i]!) !== lower) continue;
      this.#ownAdded();
      this.#added.splice(i, 2);
    }
  }

  getSetCookie(): string[] {
    const values: string[] = [];
    this.#each((name, value) => {
      if (name === "set-cookie") values.push(value);
    });
    return values;
  }

  /** Bun's own: only for set-cookie. */
  getAll(name: string): string[] {
    if (lowerName(name) === "set-cookie") return this.getSetCookie();
    throw new TypeError(`cannot list every ${JSON.stringify(name)}: getAll is for "set-cookie" only`);
  }

  /** Bun's own. */
  get count(): number {
    return this.#list().length;
  }

  /** Bun's own. */
  toJSON(): Record<string, string | string[]> {
    const record: Record<string, string | string[]> = {};
    for (const [name, value] of this.#list()) record[name] = value;
    const cookies = this.getSetCookie();
    if (cookies.length > 0) record["set-cookie"] = cookies;
    return record;
  }

  forEach(visit: (value: string, name: string, headers: Headers) => void, self?: unknown): void {
    for (const [name, value] of this.entries()) visit.call(self, value, name, this as unknown as Headers);
  }

  /** Sorted by name, repeats joined except set-cookie; what changes meanwhile is seen (Fetch standard, section 5.1). */
  *entries(): Generator<[string, string], undefined, undefined> {
    for (let i = 0; i < this.#list().length; i++) {
      const [name, value] = this.#list()[i]!;
      yield [name, value];
    }
  }

  *keys(): Generator<string, undefined, undefined> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): Generator<string, undefined, undefined> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<[string, string], undefined, undefined> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return "Headers";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): unknown {
    return this.toJSON();
  }

  /** The next field of the table with this name that was not removed, from index `from` on; -1 when there is none. */
  #next(table: FieldTable, lower: string, from: number): number {
    const { bytes, offsets, count } = table;
    if (lower === HOP) return -1;
    for (let i = from; i < count; i++) {
      const at = i * FIELD_STRIDE;
      if (!spells(bytes, offsets[at]!, offsets[at + 1]!, lower)) continue;
      if (this.#removed.length === 0 || !this.#removed.includes(i)) return i;
    }
    return -1;
  }

  #add(name: string, value: string): void {
    // Most messages get one field more: a list that begins with it is cheaper than one that grows.
    if (this.#added === noPairs) {
      this.#sorted = null;
      this.#added = [String(name), value];
      this.#addedShared = false;
      return;
    }
    this.#ownAdded();
    this.#added.push(String(name), value);
  }

  #ownAdded(): void {
    this.#sorted = null;
    if (this.#addedShared) this.#added = this.#added.slice();
    this.#addedShared = false;
  }

  #remove(index: number): void {
    this.#sorted = null;
    if (this.#removedShared) this.#removed = this.#removed.slice();
    this.#removedShared = false;
    this.#removed.push(index);
  }

  #each(visit: (lower: string, value: string) => void): void {
    if (this.#source !== null) {
      const table = this.#source.fields;
      for (let i = 0; i < table.count; i++) {
        const lower = lowerName(nameAt(table, i));
        if (lower !== HOP && !this.#removed.includes(i)) visit(lower, valueAt(table, i));
      }
    }
    for (let i = 0; i < this.#added.length; i += 2) visit(lowerName(this.#added[i]!), this.#added[i + 1]!);
  }

  #list(): [string, string][] {
    if (this.#sorted !== null) return this.#sorted;
    const joined = new Map<string, string>();
    const cookies: [string, string][] = [];
    this.#each((name, value) => {
      if (name === "set-cookie") cookies.push([name, value]);
      else {
        const before = joined.get(name);
        joined.set(name, before === undefined ? value : before + (name === "cookie" ? "; " : ", ") + value);
      }
    });
    // Array.prototype.sort is stable: the cookies stay in their order.
    this.#sorted = [...joined, ...cookies].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return this.#sorted;
  }
}

/** The Headers of a message that came from the wire. */
export function headersOf(source: MessageSource): LightHeaders {
  return new LightHeaders(fromSource, source);
}

export function nameAt(table: FieldTable, index: number): string {
  const at = index * FIELD_STRIDE;
  return text(table.bytes, table.offsets[at]!, table.offsets[at + 1]!);
}

export function valueAt(table: FieldTable, index: number): string {
  const at = index * FIELD_STRIDE;
  return text(table.bytes, table.offsets[at + 2]!, table.offsets[at + 3]!);
}
