/** A DNS server on a port of loopback, UDP and TCP, whose records and manners change while it runs. */
import { createSocket, type Socket } from "node:dgram";
import { createServer, type Server } from "node:net";
import { freePort } from "../../free-ports.ts";
import { type Entry, encodeReply, entryTypes, type Named, type Written } from "./replies.ts";

/** What it does with a question; `answer` unless a test says otherwise. */
export type Manner =
  | "answer"
  | "hang"
  | "servfail"
  | "refused"
  | "wrong-id"
  | "other-question"
  | "garbage"
  /** Says over UDP that the answer does not fit. */
  | "truncate"
  /** Answers with the records of a name that nobody asked for. */
  | "other-names";

export interface Asked {
  readonly name: string;
  readonly type: keyof typeof entryTypes;
  readonly over: "udp" | "tcp";
}

const UDP_BYTES_MAX = 512;
const codes: Partial<Record<Manner, number>> = { servfail: 2, refused: 5 };
const typeNames = new Map(Object.entries(entryTypes).map(([name, number]) => [number as number, name]));

export class DnsServer {
  manner: Manner = "answer";
  /** Of negative answers; null for none. */
  negativeTtl: number | null = 30;
  /** Whether SRV answers bring the addresses of their targets. */
  additional: "yes" | "no" = "yes";
  readonly port: number;
  readonly server: { readonly host: string; readonly port: number };
  readonly asked: Asked[] = [];
  readonly #failing: Pick<Asked, "name" | "type">[] = [];
  readonly #zone = new Map<string, readonly Entry[]>();
  readonly #udp: Socket;
  readonly #tcp: Server;

  private constructor(udp: Socket, tcp: Server) {
    const { address: host, port: bound } = udp.address();
    this.port = bound;
    this.server = { host, port: bound };
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on("message", (bytes, { port, address }) => {
      for (const reply of this.#replies(bytes, "udp")) udp.send(reply, port, address);
    });
    tcp.on("connection", (socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes: Buffer) => {
        for (const reply of this.#replies(bytes.subarray(2), "tcp")) {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(reply.length);
          // In two pieces, as a network may deliver it.
          socket.write(length);
          setTimeout(() => socket.write(reply), 1);
        }
      });
    });
  }

  /** Without a port on one that no connection takes while the server is away. */
  static async start(port?: number, host = "127.0.0.1"): Promise<DnsServer> {
    const wanted = port ?? (await freePort());
    const tcp = createServer();
    await new Promise<void>((resolve, reject) => {
      tcp.once("error", reject);
      tcp.listen(wanted, host, resolve);
    });
    const udp = createSocket("udp4");
    await new Promise<void>((resolve, reject) => {
      udp.once("error", reject);
      udp.bind(wanted, host, resolve);
    });
    return new DnsServer(udp, tcp);
  }

  /** The name has these records and no others; with none it exists all the same. */
  set(name: string, entries: readonly Entry[]): void {
    this.#zone.set(name, entries);
  }

  addresses(name: string, addresses: readonly string[], ttl = 1): void {
    this.set(
      name,
      addresses.map((address) => ({ type: address.includes(":") ? "AAAA" : "A", ttl, address })),
    );
  }

  /** This one question is answered with SERVFAIL. */
  fail(question: Pick<Asked, "name" | "type">): void {
    this.#failing.push(question);
  }

  remove(name: string): void {
    this.#zone.delete(name);
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#udp.close(resolve));
    this.#tcp.close();
  }

  /** Leaves the port of TCP to somebody else. */
  async stopTcp(): Promise<void> {
    await new Promise((resolve) => this.#tcp.close(resolve));
  }

  #replies(query: Buffer, over: "udp" | "tcp"): Buffer[] {
    const { id, name, type } = readQuestion(query);
    this.asked.push({ name, type: typeNames.get(type) as Asked["type"], over });
    const manner = this.manner;
    if (manner === "hang") return [];
    if (manner === "garbage") return [Buffer.from("these are no bytes of DNS")];
    const failing = this.#failing.some((one) => one.name === name && entryTypes[one.type] === type);
    const code = failing ? codes.servfail : codes[manner];
    if (code !== undefined) return [encodeReply({ id, name, type, code })];
    const reply = this.#reply({ id, name, type });
    if (manner === "wrong-id") return [encodeReply({ ...reply, id: id ^ 1 })];
    if (manner === "other-question") return [encodeReply({ ...reply, name: "other.test" })];
    const bytes = encodeReply(reply);
    const fits = over === "tcp" || (bytes.length <= UDP_BYTES_MAX && manner !== "truncate");
    return [fits ? bytes : encodeReply({ id, name, type, truncated: true })];
  }

  #reply({ id, name, type }: Pick<Written, "id" | "name" | "type">): Written {
    const answers: Named[] = [];
    let owner = name;
    let entries = this.#zone.get(owner);
    for (let steps = 0; steps < 20 && entries !== undefined; steps++) {
      const alias = entries.find((entry) => entry.type === "CNAME");
      if (alias === undefined) break;
      answers.push({ name: owner, entry: alias });
      owner = alias.target;
      entries = this.#zone.get(owner);
    }
    const found = (entries ?? []).filter((entry) => entryTypes[entry.type] === type);
    const shownAs = this.manner === "other-names" ? "somebody.else" : owner;
    answers.push(...found.map((entry) => ({ name: shownAs, entry })));
    const code = entries === undefined ? 3 : 0;
    const { negativeTtl } = this;
    const authorities: Named[] =
      found.length > 0 || negativeTtl === null
        ? []
        : [{ name: "test", entry: { type: "SOA", ttl: negativeTtl, minimum: negativeTtl } }];
    return { id, name, type, code, answers, authorities, additional: this.#additional(found) };
  }

  #additional(entries: readonly Entry[]): Named[] {
    if (this.additional === "no") return [];
    return entries.flatMap((entry) => {
      if (entry.type !== "SRV") return [];
      const all = this.#zone.get(entry.target) ?? [];
      return all.map((one) => ({ name: entry.target, entry: one }));
    });
  }
}

function readQuestion(query: Buffer): Pick<Written, "id" | "name" | "type"> {
  const labels: string[] = [];
  let at = 12;
  for (let size = query[at]!; size > 0; size = query[at]!) {
    labels.push(query.toString("latin1", at + 1, at + 1 + size));
    at += 1 + size;
  }
  return { id: query.readUInt16BE(0), name: labels.join("."), type: query.readUInt16BE(at + 1) };
}
