/** A node that renews its lease every 3 s and listens to the feed, on two connections, and says when it hears what. */
import type { Instance, InstanceState } from "../../src/mesh.ts";
import { KeptConnection } from "./kept-connection.ts";
import type { CoordinatorAccess } from "./node-connection.ts";

export interface NodeWords {
  readonly name: string;
  readonly service: string;
  /** How many instances it has. */
  readonly instances: number;
  readonly uses: readonly string[];
}

export interface FeedBytes {
  changed: number;
  live: number;
  beat: number;
  first: number;
}

const tagged = /^\{"kind":"(rules|instances|changed)","service":"([^"]+)","tag":"([^"]+)"/;

export class SimulatedNode {
  readonly words: NodeWords;
  readonly bytes: FeedBytes = { changed: 0, live: 0, beat: 0, first: 0 };
  readonly #heard: (node: SimulatedNode, line: string) => void;
  readonly #states: InstanceState[];
  #leases: KeptConnection | null = null;
  #feed: KeptConnection | null = null;
  readonly #known = new Map<string, { rules: string; instances: string }>();
  live: "yes" | "no" = "no";
  renewals = 0;
  refusals = 0;
  /** `heard` gets the lines of the feed that tell a change. */
  constructor(words: NodeWords, heard: (node: SimulatedNode, line: string) => void) {
    this.words = words;
    this.#heard = heard;
    this.#states = Array.from({ length: words.instances }, () => "healthy");
  }

  async join(access: CoordinatorAccess): Promise<void> {
    if (this.words.instances > 0) {
      this.#leases = new KeptConnection(access, {
        line: (text) => this.#answered(text),
        opened: () => this.renew(),
      });
      await this.#leases.open();
    }
    this.#feed = new KeptConnection(access, {
      line: (text) => this.#told(text),
      opened: () => this.#listen(),
    });
    await this.#feed.open();
  }

  /** How often a connection broke. */
  get broken(): number {
    return (this.#leases?.broken ?? 0) + (this.#feed?.broken ?? 0);
  }

  #listen(): void {
    const { name: node, service, uses } = this.words;
    const known = [...this.#known].filter(([, { rules, instances }]) => rules !== "" && instances !== "");
    const services = [service, ...uses];
    this.#feed?.post("/v1/feed", { node, services, known: Object.fromEntries(known) });
  }

  renew(): void {
    const { name: node, service, instances } = this.words;
    const all = Array.from({ length: instances }, (_, index) => this.#instance(node, service, index));
    this.#leases?.post("/v1/leases", { node, instances: all });
  }

  /** Of one instance the health changes. Returns how its line says that. */
  change(index: number): string {
    const { name, service } = this.words;
    this.#states[index] = this.#states[index] === "healthy" ? "unhealthy" : "healthy";
    const { id, state } = this.#instance(name, service, index);
    this.renew();
    return `"id":"${id}","service":"${service}"|"state":"${state}"`;
  }

  close(): void {
    this.#leases?.close();
    this.#feed?.close();
  }

  #instance(node: string, service: string, index: number): Instance {
    const number = Number(node.slice(1));
    return {
      id: `${node}-${index}`.padStart(32, "0"),
      service,
      address: { host: `10.${(number >> 8) & 255}.${number & 255}.${index}`, port: 4143 },
      version: "v1",
      zone: "a",
      weight: 1,
      state: this.#states[index]!,
    };
  }

  #answered(line: string): void {
    if (line.startsWith("HTTP/1.1 200")) this.renewals += 1;
    else if (line.startsWith("HTTP/1.1")) this.refusals += 1;
  }

  #told(line: string): void {
    const [, kind, service = "", tag = ""] = tagged.exec(line.slice(0, 200)) ?? [];
    if (kind !== undefined) {
      const known = this.#known.get(service) ?? { rules: "", instances: "" };
      this.#known.set(service, { ...known, [kind === "rules" ? "rules" : "instances"]: tag });
    }
    if (line.startsWith('{"kind":"changed"')) {
      this.bytes.changed += line.length + 1;
      this.#heard(this, line);
    } else if (line.startsWith('{"kind":"live"')) {
      this.live = "yes";
      this.bytes.live += line.length + 1;
    } else if (line.startsWith('{"kind":"beat"')) this.bytes.beat += line.length + 1;
    else if (line.startsWith("{")) this.bytes.first += line.length + 1;
    else if (line.startsWith("HTTP/1.1") && !line.startsWith("HTTP/1.1 200")) this.refusals += 1;
  }
}
