/** DNS messages as a server writes them (RFC 1035 section 4). */

export type Entry =
  | { readonly type: "A" | "AAAA"; readonly ttl: number; readonly address: string }
  | { readonly type: "CNAME"; readonly ttl: number; readonly target: string }
  | {
      readonly type: "SRV";
      readonly ttl: number;
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | { readonly type: "SOA"; readonly ttl: number; readonly minimum: number };

export interface Named {
  readonly name: string;
  readonly entry: Entry;
}

export interface Written {
  readonly id: number;
  readonly name: string;
  /** The number of the type that was asked for. */
  readonly type: number;
  readonly code?: number;
  readonly truncated?: boolean;
  readonly answers?: readonly Named[];
  readonly authorities?: readonly Named[];
  readonly additional?: readonly Named[];
}

export const entryTypes = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33 } as const;

export function encodeReply(reply: Written): Buffer {
  const { id, name, type, code = 0, truncated = false } = reply;
  const sections = [reply.answers ?? [], reply.authorities ?? [], reply.additional ?? []];
  return Buffer.concat([
    numbers(2, id, 0x8180 | code | (truncated ? 0x0200 : 0), 1, ...sections.map((section) => section.length)),
    encodeName(name),
    numbers(2, type, 1),
    ...sections.flat().map((named) => encodeRecord(named, name)),
  ]);
}

/** A name that is the question's is a pointer to it, as servers write it. */
function encodeRecord({ name, entry }: Named, question: string): Buffer {
  const data = encodeData(entry);
  const owner = name === question ? numbers(2, 0xc00c) : encodeName(name);
  return Buffer.concat([
    owner,
    numbers(2, entryTypes[entry.type], 1),
    numbers(4, entry.ttl),
    numbers(2, data.length),
    data,
  ]);
}

function encodeData(entry: Entry): Buffer {
  switch (entry.type) {
    case "A":
      return Buffer.from(entry.address.split(".").map(Number));
    case "AAAA":
      return numbers(2, ...groupsOf(entry.address));
    case "CNAME":
      return encodeName(entry.target);
    case "SRV":
      return Buffer.concat([numbers(2, entry.priority, entry.weight, entry.port), encodeName(entry.target)]);
    case "SOA":
      return Buffer.concat([
        encodeName("ns.test"),
        encodeName("host.test"),
        numbers(4, 1, 2, 3, 4, entry.minimum),
      ]);
  }
}

export function encodeName(name: string): Buffer {
  const labels = name === "" ? [] : name.split(".");
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([numbers(1, label.length), Buffer.from(label, "latin1")])),
    numbers(1, 0),
  ]);
}

function groupsOf(address: string): number[] {
  const [before = "", after] = address.split("::");
  const read = (text: string) =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const [left, right] = [read(before), read(after ?? "")];
  return after === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill(0), ...right];
}

function numbers(size: number, ...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(size * values.length);
  values.forEach((value, at) => {
    bytes.writeUIntBE(value, at * size, size);
  });
  return bytes;
}
