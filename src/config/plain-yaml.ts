/**
 * The plain part of YAML, in which nearly all configs are written: maps and lists by indentation, `{ }` and `[ ]` within a
 * line, values that end with their line, comments. It is read in a tenth of the time that all of YAML takes, which
 * shows with thousands of routes. Whatever else a text has, or does wrong, is not read here at all.
 */
import { type Environment, substitute } from "./environment.ts";
import type { Located, LocatedEntry, Plain } from "./located.ts";
import type { Range, SourceFile } from "./source.ts";

const nodesMax = 1_000_000;
const depthMax = 60;
/** Of a key; YAML allows a little more. */
const keyCharactersMax = 1000;

/** Thrown where a text is not plain. */
const notPlain = new Error("not plain");

/** Null when the text is not plain, or wrong. */
export function readPlain(file: SourceFile, environment: Environment): Located | null {
  if (/[\t\r]|^(---|\.\.\.|%)/m.test(file.text)) return null;
  try {
    return new PlainReader(file, environment).read();
  } catch (error) {
    if (error === notPlain) return null;
    throw error;
  }
}

/** Signs that begin something else than a plain value; the last three do so before a space. */
const special = new Set([..."[]{},#&*!|>'\"%@`"]);
const specialBeforeSpace = new Set([..."-?:"]);
const flowSigns = new Set([..."[]{},"]);

const integer = /^[-+]?[0-9]+$/;
const decimal = /^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+)$/;
const otherNumber = /^(?:0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const words = new Map<string, Plain>([
  ...["~", "null", "Null", "NULL"].map((word) => [word, null] as const),
  ...["true", "True", "TRUE"].map((word) => [word, true] as const),
  ...["false", "False", "FALSE"].map((word) => [word, false] as const),
]);
const escapes = new Map([...[...'\\"/'].map((sign) => [sign, sign] as const), ["n", "\n"], ["t", "\t"]]);

interface Key {
  readonly name: string;
  readonly range: Range;
}

class PlainReader {
  readonly #file: SourceFile;
  readonly #text: string;
  readonly #environment: Environment;
  #at = 0;
  #lineStart = 0;
  /** Of the line in which #at stands, once that is found; -1 after the last. */
  #indent = -1;
  #nodes = 0;
  #depth = 0;

  constructor(file: SourceFile, environment: Environment) {
    this.#file = file;
    this.#text = file.text;
    this.#environment = environment;
  }

  read(): Located {
    this.#nextLine();
    if (this.#indent < 0 || this.#isDash()) throw notPlain;
    const node = this.#map(this.#indent);
    if (this.#indent >= 0) throw notPlain;
    return node;
  }

  // ---- lines ----

  /** From the begin of a line to the first sign of the next one that says anything. */
  #nextLine(): void {
    const text = this.#text;
    for (;;) {
      this.#lineStart = this.#at;
      while (text[this.#at] === " ") this.#at++;
      if (this.#at >= text.length) {
        this.#indent = -1;
        return;
      }
      if (text[this.#at] !== "\n" && text[this.#at] !== "#") break;
      this.#at = this.#lineEnd() + 1;
    }
    this.#indent = this.#at - this.#lineStart;
  }

  #lineEnd(): number {
    const end = this.#text.indexOf("\n", this.#at);
    return end < 0 ? this.#text.length : end;
  }

  /** Past what may stand behind a value in its line, a comment, to the next line. */
  #endLine(): void {
    this.#skipSpaces();
    if (!this.#isLineOver()) throw notPlain;
    this.#at = this.#lineEnd() + 1;
    this.#nextLine();
  }

  #skipSpaces(): void {
    while (this.#text[this.#at] === " ") this.#at++;
  }

  /** Whether nothing is left of the line but a comment, which has a space before it. */
  #isLineOver(): boolean {
    const sign = this.#text[this.#at];
    return sign === undefined || sign === "\n" || (sign === "#" && this.#text[this.#at - 1] === " ");
  }

  #isDash(): boolean {
    if (this.#text[this.#at] !== "-") return false;
    const next = this.#text[this.#at + 1];
    return next === undefined || next === " " || next === "\n";
  }

  // ---- by indentation ----

  #map(indent: number): Located {
    const start = this.#at;
    const entries = new Map<string, LocatedEntry>();
    this.#enter();
    do {
      this.#add(entries, this.#key(this.#keyEnd()), () => this.#valueOf(indent, "key"));
    } while (this.#indent === indent && !this.#isDash());
    return this.#leave({ kind: "map", range: this.#block(start, indent), entries });
  }

  #list(indent: number): Located {
    const start = this.#at;
    const items: Located[] = [];
    this.#enter();
    do {
      this.#at++;
      items.push(this.#valueOf(indent, "dash"));
    } while (this.#indent === indent && this.#isDash());
    return this.#leave({ kind: "list", range: this.#block(start, indent), items });
  }

  /** What a key or a dash of a block at this indentation stands before. */
  #valueOf(indent: number, after: "key" | "dash"): Located {
    this.#skipSpaces();
    const start = this.#at;
    if (this.#isLineOver()) {
      this.#endLine();
      if (this.#indent > indent) return this.#isDash() ? this.#list(this.#indent) : this.#map(this.#indent);
      // A list may stand right below its key.
      if (after === "key" && this.#indent === indent && this.#isDash()) return this.#list(indent);
      return this.#scalar(null, start, start);
    }
    if (after === "dash") {
      const column = this.#at - this.#lineStart;
      if (this.#isDash()) return this.#list(column);
      if (this.#keyEnd() >= 0) return this.#map(column);
    }
    const value = this.#inline("line");
    this.#endLine();
    return value;
  }

  /** All up to the line that was found last; that one may not stand deeper than what ends here. */
  #block(start: number, indent: number): Range {
    if (this.#indent > indent) throw notPlain;
    const end = this.#indent < 0 ? this.#text.length : this.#lineStart;
    return this.#range(start, end);
  }

  /** Where the colon of a key stands that begins here; -1 when none does. */
  #keyEnd(): number {
    const text = this.#text;
    const sign = text[this.#at]!;
    if (sign === '"' || sign === "'") {
      const end = this.#closingQuote(sign) + 1;
      let colon = end;
      while (text[colon] === " ") colon++;
      return text[colon] === ":" && this.#isSpace(colon + 1) ? colon : -1;
    }
    if (flowSigns.has(sign)) return -1;
    const line = text.slice(this.#at, this.#lineEnd());
    let colon = line.indexOf(": ");
    if (colon < 0 && line.endsWith(":")) colon = line.length - 1;
    const comment = line.indexOf(" #");
    return colon < 0 || (comment >= 0 && comment < colon) ? -1 : this.#at + colon;
  }

  #isSpace(at: number): boolean {
    const sign = this.#text[at];
    return sign === undefined || sign === " " || sign === "\n";
  }

  // ---- within a line ----

  /** A value that ends in this line; `within` tells what else ends it. */
  #inline(within: "line" | "flow"): Located {
    const sign = this.#text[this.#at];
    if (sign === "{") return this.#flowMap();
    if (sign === "[") return this.#flowList();
    const start = this.#at;
    if (sign === '"' || sign === "'") return this.#scalar(this.#quoted(sign), start, this.#at);
    const word = this.#word(within);
    return this.#scalar(typed(word), start, start + word.length);
  }

  #flowMap(): Located {
    const start = this.#at;
    const entries = new Map<string, LocatedEntry>();
    this.#enter();
    this.#flow("}", () => {
      const colon = this.#flowKeyEnd();
      this.#add(entries, this.#key(colon), () => {
        this.#skipSpaces();
        return this.#inline("flow");
      });
    });
    return this.#leave({ kind: "map", range: this.#range(start, this.#at), entries });
  }

  #flowList(): Located {
    const start = this.#at;
    const items: Located[] = [];
    this.#enter();
    this.#flow("]", () => items.push(this.#inline("flow")));
    return this.#leave({ kind: "list", range: this.#range(start, this.#at), items });
  }

  /** Past the closing sign, with `entry` called at each entry. */
  #flow(close: string, entry: () => void): void {
    this.#at++;
    this.#skipSpaces();
    if (this.#text[this.#at] === close) {
      this.#at++;
      return;
    }
    for (;;) {
      entry();
      this.#skipSpaces();
      const sign = this.#text[this.#at++];
      if (sign === close) return;
      if (sign !== ",") throw notPlain;
      this.#skipSpaces();
    }
  }

  #flowKeyEnd(): number {
    const text = this.#text;
    const sign = text[this.#at]!;
    if (sign === '"' || sign === "'") return this.#keyEnd();
    for (let at = this.#at; at < text.length; at++) {
      const here = text[at]!;
      if (here === ":" && text[at + 1] === " ") return at;
      if (here === "\n" || here === ":" || flowSigns.has(here)) break;
    }
    return -1;
  }

  #key(colon: number): Key {
    if (colon < 0) throw notPlain;
    const start = this.#at;
    const sign = this.#text[start]!;
    let name: string;
    if (sign === '"' || sign === "'") name = this.#quoted(sign);
    else {
      this.#checkBegin();
      name = this.#text.slice(start, colon).replace(/ +$/, "");
      if (name.includes(" #")) throw notPlain;
      this.#at = start + name.length;
    }
    const range = this.#range(start, this.#at);
    this.#at = colon + 1;
    return { name, range };
  }

  #add(entries: Map<string, LocatedEntry>, key: Key, value: () => Located): void {
    const { name, range } = key;
    const usable = name !== "" && name !== "<<" && name !== "__proto__" && name.length <= keyCharactersMax;
    if (!usable || entries.has(name)) throw notPlain;
    entries.set(name, { key: range, node: value() });
  }

  /** Past a plain value. */
  #word(within: "line" | "flow"): string {
    this.#checkBegin();
    const start = this.#at;
    let word = this.#text.slice(start, this.#lineEnd());
    if (within === "flow") {
      const end = word.search(/[[\]{},]/);
      if (end < 0) throw notPlain;
      word = word.slice(0, end);
    }
    const comment = word.indexOf(" #");
    if (comment >= 0) word = word.slice(0, comment);
    word = word.replace(/ +$/, "");
    if (word.includes(": ") || word.endsWith(":") || (comment >= 0 && within === "flow")) throw notPlain;
    this.#at = start + word.length;
    return word;
  }

  /** No sign that means something else at the begin of a plain value. */
  #checkBegin(): void {
    const sign = this.#text[this.#at]!;
    if (special.has(sign)) throw notPlain;
    if (!specialBeforeSpace.has(sign)) return;
    const next = this.#text[this.#at + 1];
    if (this.#isSpace(this.#at + 1) || flowSigns.has(next!)) throw notPlain;
  }

  #closingQuote(quote: string): number {
    const text = this.#text;
    for (let at = this.#at + 1; at < text.length; at++) {
      const sign = text[at]!;
      if (sign === "\n") break;
      if (sign === "\\" && quote === '"') at++;
      else if (sign === quote) {
        if (quote === '"' || text[at + 1] !== "'") return at;
        at++;
      }
    }
    throw notPlain;
  }

  #quoted(quote: string): string {
    const end = this.#closingQuote(quote);
    const inside = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    if (quote === "'") return inside.replaceAll("''", "'");
    return inside.replace(/\\(.)/gs, (_, sign: string) => {
      const meant = escapes.get(sign);
      if (meant === undefined) throw notPlain;
      return meant;
    });
  }

  // ---- nodes ----

  #scalar(value: Plain, start: number, end: number): Located {
    this.#count();
    const range = this.#range(start, end);
    if (typeof value !== "string" || !value.includes("${"))
      return { kind: "scalar", range, value, written: null, origin: "text" };
    const result = substitute(value, this.#environment);
    if (!result.ok) throw notPlain;
    return { kind: "scalar", range, value: result.text, written: value, origin: "environment" };
  }

  #range(start: number, end: number): Range {
    return { file: this.#file, start, end };
  }

  #count(): void {
    this.#nodes++;
    if (this.#nodes > nodesMax) throw notPlain;
  }

  #enter(): void {
    this.#count();
    this.#depth++;
    if (this.#depth > depthMax) throw notPlain;
  }

  #leave(node: Located): Located {
    this.#depth--;
    return node;
  }
}

/** What a plain value stands for (YAML 1.2, section 10.3). */
function typed(word: string): Plain {
  const known = words.get(word);
  if (known !== undefined) return known;
  if (!/^[-+.0-9]/.test(word)) return word;
  if (integer.test(word)) return finite(Number.parseInt(word, 10));
  if (decimal.test(word)) return finite(Number.parseFloat(word));
  if (otherNumber.test(word)) throw notPlain;
  return word;
}

function finite(number: number): number {
  if (!Number.isFinite(number)) throw notPlain;
  return number;
}
