/** What a reply says about the question: only what follows from the name that was asked for is believed. */
import type {
  AddressRecord,
  Question,
  QuestionType,
  Reply,
  ResourceRecord,
  ServiceRecord,
} from "./message.ts";

export type DataRecord = AddressRecord | ServiceRecord;

export type Answer =
  | {
      readonly kind: "records";
      readonly records: readonly DataRecord[];
      /** Addresses of SRV records' targets that came along. */
      readonly additional: readonly AddressRecord[];
      readonly ttlSeconds: number;
    }
  /** There is nothing; the time to live is null where the server did not say how long that holds. */
  | { readonly kind: "nothing"; readonly why: string; readonly ttlSeconds: number | null }
  /** The server could not, or would not, say. */
  | { readonly kind: "failed"; readonly why: string };

/** CNAMEs that are followed from one name; more, or a loop of them, are no answer. */
export const ALIASES_MAX = 16;

const NXDOMAIN = 3;
const codeNames: readonly string[] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

export function answerOf(reply: Reply, { name, type }: Question): Answer {
  if (reply.code !== 0 && reply.code !== NXDOMAIN) {
    return { kind: "failed", why: `answered ${codeNames[reply.code] ?? `with code ${reply.code}`}` };
  }
  const chain = aliasesOf(name, reply.answers);
  if (chain === null)
    return { kind: "failed", why: `answered with a loop of more than ${ALIASES_MAX} CNAMEs` };
  const last = chain.at(-1)?.target ?? name;
  const records = reply.answers.filter(
    (record): record is DataRecord => record.type === type && record.name === last,
  );
  // An alias that leads nowhere has NXDOMAIN too (RFC 6604), so records are looked for first.
  if (records.length === 0) return nothing(reply, type);
  const targets = new Set(records.map((record) => (record.type === "SRV" ? record.target : null)));
  const additional = reply.additional.filter(isAddress).filter((one) => targets.has(one.name));
  const ttlSeconds = Math.min(...[...chain, ...records, ...additional].map((record) => record.ttlSeconds));
  return { kind: "records", records, additional, ttlSeconds };
}

/** Every CNAME from the name on; null for too many. */
function aliasesOf(name: string, answers: readonly ResourceRecord[]) {
  const aliases = answers.filter((record) => record.type === "CNAME");
  const chain: typeof aliases = [];
  let at = name;
  for (;;) {
    const alias = aliases.find((record) => record.name === at);
    if (alias === undefined) return chain;
    if (chain.length === ALIASES_MAX) return null;
    chain.push(alias);
    at = alias.target;
  }
}

function nothing(reply: Reply, type: QuestionType): Answer {
  const authority = reply.authorities.find((record) => record.type === "SOA");
  const ttlSeconds =
    authority === undefined ? null : Math.min(authority.ttlSeconds, authority.minimumSeconds);
  const why = reply.code === NXDOMAIN ? "there is no such name (NXDOMAIN)" : `it has no ${type} record`;
  return { kind: "nothing", why, ttlSeconds };
}

function isAddress(record: ResourceRecord): record is AddressRecord {
  return record.type === "A" || record.type === "AAAA";
}
