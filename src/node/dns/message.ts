/** DNS messages (RFC 1035 section 4; AAAA RFC 3596, SRV RFC 2782): a question in, checked records out. */

export type QuestionType = "A" | "AAAA" | "SRV";

/** Names are in lower case, absolute, without the last dot; the root is empty. */
export interface Question {
  readonly name: string;
  readonly type: QuestionType;
}

export interface AddressRecord {
  readonly type: "A" | "AAAA";
  readonly name: string;
  readonly ttlSeconds: number;
  /** As text; IPv6 as RFC 5952 writes it. */
  readonly address: string;
}

export interface ServiceRecord {
  readonly type: "SRV";
  readonly name: string;
  readonly ttlSeconds: number;
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

export interface AliasRecord {
  readonly type: "CNAME";
  readonly name: string;
  readonly ttlSeconds: number;
  readonly target: string;
}

/** How long it holds that there is nothing (RFC 2308 section 5). */
export interface AuthorityRecord {
  readonly type: "SOA";
  readonly name: string;
  readonly ttlSeconds: number;
  readonly minimumSeconds: number;
}

export type ResourceRecord = AddressRecord | ServiceRecord | AliasRecord | AuthorityRecord;

/** An answer, as far as it is of interest: records of other types and classes are left out. */
export interface Reply {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  /** 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED, … */
  readonly code: number;
  /** It did not fit, and none of its records are here. */
  readonly truncated: "yes" | "no";
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additional: readonly ResourceRecord[];
}

export const typeNumbers: Readonly<Record<QuestionType, number>> = { A: 1, AAAA: 28, SRV: 33 };
const CNAME = 5;
const SOA = 6;
const CLASS_IN = 1;

const HEADER_BYTES = 12;
/** RFC 1035 section 2.3.4, without the root's byte. */
const NAME_BYTES_MAX = 254;
const LABEL_BYTES_MAX = 63;

const RESPONSE = 0x8000;
const OPCODE = 0x7800;
const TRUNCATED = 0x0200;
const RECURSION_DESIRED = 0x0100;
const CODE = 0x000f;

/** Null when the name cannot stand in a message: a label or the whole of it is too long, or empty. */
export function encodeQuestion(id: number, { name, type }: Question): Buffer | null {
  const labels = name.split(".");
  const fits = labels.every((label) => label.length > 0 && label.length <= LABEL_BYTES_MAX);
  if (!fits || name.length + 1 > NAME_BYTES_MAX) return null;
  const bytes = Buffer.alloc(HEADER_BYTES + name.length + 2 + 4);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(RECURSION_DESIRED, 2);
  bytes.writeUInt16BE(1, 4);
  let at = HEADER_BYTES;
  for (const label of labels) {
    at = bytes.writeUInt8(label.length, at);
    at += bytes.write(label, at, "latin1");
  }
  at = bytes.writeUInt16BE(typeNumbers[type], at + 1);
  bytes.writeUInt16BE(CLASS_IN, at);
  return bytes;
}

/** Null when it is no answer to one question, or anything in it is malformed. */
export function decodeReply(bytes: Buffer): Reply | null {
  try {
    return readReply(new Reader(bytes));
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function readReply(reader: Reader): Reply | null {
  const id = reader.number(2);
  const flags = reader.number(2);
  const questions = reader.number(2);
  const counts = [reader.number(2), reader.number(2), reader.number(2)] as const;
  if ((flags & RESPONSE) === 0 || (flags & OPCODE) !== 0 || questions !== 1) return null;
  const name = reader.name();
  const type = reader.number(2);
  if (reader.number(2) !== CLASS_IN) return null;
  const truncated = (flags & TRUNCATED) === 0 ? "no" : "yes";
  const [answers, authorities, additional] = counts.map((count) =>
    // What was cut may have been cut anywhere.
    truncated === "yes" ? [] : readRecords(reader, count),
  ) as [ResourceRecord[], ResourceRecord[], ResourceRecord[]];
  return { id, name, type, code: flags & CODE, truncated, answers, authorities, additional };
}

function readRecords(reader: Reader, count: number): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.name();
    const type = reader.number(2);
    const family = reader.number(2);
    const ttl = reader.number(4);
    const end = reader.number(2) + reader.at;
    const common = { name, ttlSeconds: seconds(ttl) };
    const record = family === CLASS_IN ? readData(reader, type, common) : null;
    if (record === null) reader.skipTo(end);
    else if (reader.at === end) records.push(record);
    else throw malformed("a record whose length is wrong");
  }
  return records;
}

/** Null for types that are of no interest. */
function readData(
  reader: Reader,
  type: number,
  common: { readonly name: string; readonly ttlSeconds: number },
): ResourceRecord | null {
  switch (type) {
    case typeNumbers.A:
      return { type: "A", ...common, address: reader.take(4).join(".") };
    case typeNumbers.AAAA:
      return { type: "AAAA", ...common, address: addressV6(reader.take(16)) };
    case CNAME:
      return { type: "CNAME", ...common, target: reader.name() };
    case SOA: {
      reader.name();
      reader.name();
      reader.take(16);
      return { type: "SOA", ...common, minimumSeconds: seconds(reader.number(4)) };
    }
    case typeNumbers.SRV: {
      const [priority, weight, port] = [reader.number(2), reader.number(2), reader.number(2)];
      return { type: "SRV", ...common, priority, weight, port, target: reader.name() };
    }
    default:
      return null;
  }
}

/** RFC 2181 section 8: a value with the highest bit is 0. */
function seconds(ttl: number): number {
  return ttl > 0x7fff_ffff ? 0 : ttl;
}

/** RFC 5952 section 4: the longest run of two or more zero groups, the first of them when equal, is `::`. */
function addressV6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  let longest = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === "0") length++;
    if (length > longest.length) longest = { start, length };
  }
  if (longest.length < 2) return groups.join(":");
  const before = groups.slice(0, longest.start);
  const after = groups.slice(longest.start + longest.length);
  return `${before.join(":")}::${after.join(":")}`;
}

/** Throws a RangeError for what lies outside the message or is malformed. */
class Reader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  number(size: 1 | 2 | 4): number {
    return this.take(size).readUIntBE(0, size);
  }

  take(size: number): Buffer {
    const start = this.at;
    this.skipTo(start + size);
    return this.#bytes.subarray(start, this.at);
  }

  skipTo(end: number): void {
    if (end > this.#bytes.length) throw malformed("a message that ends too early");
    this.at = end;
  }

  /** RFC 1035 section 4.1.4. Each pointer leads to before the last one, so that there is an end. */
  name(): string {
    let text = "";
    let end: number | null = null;
    let before = this.at;
    let length = 0;
    for (;;) {
      const size = this.number(1);
      if (size === 0) break;
      if (size >= 0xc0) {
        const target = ((size & 0x3f) << 8) | this.number(1);
        if (target >= before) throw malformed("a name that points forward");
        end ??= this.at;
        before = target;
        this.at = target;
        continue;
      }
      length += size + 1;
      if (size > LABEL_BYTES_MAX || length > NAME_BYTES_MAX) throw malformed("a name that is too long");
      text += `${text === "" ? "" : "."}${labelText(this.take(size))}`;
    }
    this.at = end ?? this.at;
    return text;
  }
}

/** What is no letter, digit, dash or underscore becomes an escape: no name that was asked for has any. */
function labelText(bytes: Buffer): string {
  return bytes
    .toString("latin1")
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, (byte) => `\\${byte.charCodeAt(0).toString().padStart(3, "0")}`);
}

function malformed(what: string): RangeError {
  return new RangeError(what);
}
