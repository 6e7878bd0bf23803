/**
 * Downstream. Masks the numbers of payment cards in JSON answers, as they stream by: `4111 1111 1111 1111` arrives as
 * `**** **** **** 1111`. A number that is no text stays one, `9999999999991111`: no card begins like that. So an answer
 * stays valid JSON, and as long as it was.
 *
 * What counts is what the card networks issue (ISO/IEC 7812): a prefix of theirs, its length, the check digit. About one in
 * ten other numbers of that form has a right check digit by chance. At most 38 bytes are held back, so that a number in
 * two pieces is found. The service is asked for the whole answer, not compressed; where it is all the same, 502.
 */
import { defineFilter, type Middleware, z } from "clearway/plugin";

type Context = Parameters<Middleware>[0];

const JSON_TYPE = /^application\/(json|[\w.+-]+\+json|x-ndjson|ndjson|jsonl|json-seq)\s*(;|$)/i;
/** What says how the service may send it, and would hide numbers or cut them in two. */
const CODINGS = ["accept-encoding", "range", "if-range"];
/** They say what the bytes were. */
const DIGESTS = ["content-digest", "repr-digest", "digest", "content-md5"];

export default defineFilter({
  name: "mask-cards",
  summary: "Masks the numbers of payment cards in JSON answers",
  options: z.strictObject({
    keep: z.int().min(0).max(4).default(4).describe("how many of the last digits stay"),
  }),
  middleware:
    ({ keep }, { metrics }) =>
    async (c, next) => {
      const { headers } = c.req.raw;
      const asked = CODINGS.map((name) => [name, headers.get(name)] as const);
      for (const name of CODINGS) headers.delete(name);
      await next();
      // For filters around this one, such as hono/compress.
      for (const [name, value] of asked) if (value !== null) headers.set(name, value);
      if (!JSON_TYPE.test(c.res.headers.get("content-type") ?? "") || c.res.body === null) return;
      if ((c.res.headers.get("content-encoding") ?? "identity") !== "identity") {
        refuse(c);
        return;
      }
      const mask = new CardMask(keep, () => metrics.count("cards_masked"));
      const body = c.res.body.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform: (piece, controller) => pass(mask.pass(piece, "more"), controller),
          flush: (controller) => pass(mask.pass(new Uint8Array(0), "end"), controller),
        }),
      );
      c.res = new Response(body, c.res);
      for (const name of DIGESTS) c.res.headers.delete(name);
    },
});

function pass(bytes: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>): void {
  if (bytes.length > 0) controller.enqueue(bytes);
}

function refuse(c: Context): void {
  void c.res.body?.cancel().catch(() => {});
  // Hono would lay the fields of the answer that is there over this one.
  c.res = undefined;
  const sentence = "answer-unreadable: the service compresses what must be looked at\n";
  c.res = c.text(sentence, 502, { "x-clearway-reason": "answer-unreadable" });
}

const [QUOTE, BACKSLASH, LINE_END, SPACE, LETTER_U, UNDERSCORE] = [0x22, 0x5c, 0x0a, 0x20, 0x75, 0x5f];
const [HYPHEN, PLUS, POINT, STAR, NINE] = [0x2d, 0x2b, 0x2e, 0x2a, 0x39];
const [DIGITS_MIN, DIGITS_MAX] = [12, 19];

/** Prefixes and lengths: Visa, Mastercard, American Express, Diners, JCB, Discover, UnionPay, Maestro. */
const CARD =
  /^(4\d{12}(\d{3}){0,2}|(5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|3(0[0-5]|[689]\d)\d{11,16}|35(2[89]|[3-8]\d)\d{12,15}|6(011|4[4-9]\d|5\d\d)\d{12,15}|62\d{14,17}|(5018|5020|5038|58\d\d|6304|67\d\d)\d{8,15})$/;

/** Digits in a row. */
interface Group {
  readonly start: number;
  /** Behind the last one. */
  readonly end: number;
}

/** Looks at JSON in pieces, and gives it back in pieces, masked. */
class CardMask {
  readonly #keep: number;
  readonly #onMasked: () => void;
  /** What may be the begin of a number. */
  #held: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #at = 0;
  #inText = false;
  /** Bytes of an escape that are still to come; -1 where the next one says what it is: `\n`, or `\u00e9`. */
  #escaped = 0;
  /** What stands before the next byte: to a word, and outside of text to a sign or a point, digits belong. */
  #before: "edge" | "word" | "sign" = "edge";

  constructor(keep: number, onMasked: () => void) {
    this.#keep = keep;
    this.#onMasked = onMasked;
  }

  pass(chunk: Uint8Array, then: "more" | "end"): Uint8Array {
    const bytes = new Uint8Array(this.#held.length + chunk.length);
    bytes.set(this.#held);
    bytes.set(chunk, this.#held.length);
    let until = bytes.length;
    for (this.#at = 0; this.#at < until; ) {
      const byte = bytes[this.#at]!;
      if (isDigit(byte) && this.#escaped === 0) until = this.#run(bytes, then);
      else this.#step(byte);
    }
    this.#held = bytes.slice(until);
    return bytes.subarray(0, until);
  }

  /** Over one byte that is no digit, or one of an escape. */
  #step(byte: number): void {
    this.#at++;
    this.#before = "edge";
    if (this.#escaped === -1) this.#escaped = byte === LETTER_U ? 4 : 0;
    else if (this.#escaped > 0) this.#escaped--;
    else if (this.#inText && byte === BACKSLASH) this.#escaped = -1;
    else if (byte === QUOTE) this.#inText = !this.#inText;
    // No text of JSON goes over the end of a line: what was none ends there.
    else if (byte === LINE_END) this.#inText = false;
    else if (isLetter(byte)) this.#before = "word";
    else if (!this.#inText && isSign(byte)) this.#before = "sign";
  }

  /** Over a run of digits: masks the cards in it. Returns how far bytes may go: not past what the next piece may go on with. */
  #run(bytes: Uint8Array, then: "more" | "end"): number {
    const groups = groupsAt(bytes, this.#at, this.#inText ? isSeparator : () => false);
    const end = groups[groups.length - 1]!.end;
    const mayGoOn =
      then === "more" &&
      (end === bytes.length || (this.#inText && end === bytes.length - 1 && isSeparator(bytes[end]!)));
    const tooShort = !mayGoOn && end - this.#at < DIGITS_MIN;
    for (let first = tooShort ? groups.length : 0; first < groups.length; ) {
      const { start } = groups[first]!;
      this.#at = start;
      if (mayGoOn && digitsOf(bytes, groups.slice(first, first + DIGITS_MAX + 1)).length <= DIGITS_MAX)
        return start;
      const last = this.#before === "edge" ? this.#cardAt(bytes, groups, first) : null;
      if (last !== null) this.#mask(bytes, start, groups[last]!.end);
      first = (last ?? first) + 1;
      this.#before = "edge";
    }
    this.#at = end;
    this.#before = "word";
    return bytes.length;
  }

  /** The last of the groups that make a card together with the first, as many as can; null where none do. */
  #cardAt(bytes: Uint8Array, groups: readonly Group[], first: number): number | null {
    let found: number | null = null;
    let digits = "";
    for (let last = first; last < groups.length; last++) {
      digits += digitsOf(bytes, [groups[last]!]);
      if (digits.length > DIGITS_MAX) break;
      const next = bytes[groups[last]!.end] ?? LINE_END;
      if (digits.length < DIGITS_MIN) continue;
      const isWhole = !isLetter(next) && (this.#inText || !isSign(next));
      if (isWhole && CARD.test(digits) && hasCheckDigit(digits)) found = last;
    }
    return found;
  }

  #mask(bytes: Uint8Array, start: number, end: number): void {
    this.#onMasked();
    let kept = 0;
    for (let at = end - 1; at >= start; at--) {
      if (!isDigit(bytes[at]!)) continue;
      if (kept < this.#keep) kept++;
      else bytes[at] = this.#inText ? STAR : NINE;
    }
  }
}

function groupsAt(bytes: Uint8Array, start: number, isBetween: (byte: number) => boolean): readonly Group[] {
  const groups: Group[] = [];
  for (let at = start; isDigit(bytes[at] ?? LINE_END); ) {
    const from = at;
    while (isDigit(bytes[at] ?? LINE_END)) at++;
    groups.push({ start: from, end: at });
    if (isBetween(bytes[at] ?? LINE_END)) at++;
  }
  return groups;
}

/** No more than it takes to know that there are too many. */
function digitsOf(bytes: Uint8Array, groups: readonly Group[]): string {
  let digits = "";
  for (const { start, end } of groups) {
    digits += String.fromCharCode(...bytes.subarray(start, Math.min(end, start + DIGITS_MAX + 1)));
  }
  return digits;
}

/** Luhn: every second digit from the right counts twice, its own digits added. */
function hasCheckDigit(digits: string): boolean {
  let sum = 0;
  for (let place = 0; place < digits.length; place++) {
    const digit = Number(digits[digits.length - 1 - place]) * (place % 2 === 1 ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  return sum % 10 === 0;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === UNDERSCORE;
}

function isSeparator(byte: number): boolean {
  return byte === SPACE || byte === HYPHEN;
}

function isSign(byte: number): boolean {
  return byte === HYPHEN || byte === PLUS || byte === POINT;
}
