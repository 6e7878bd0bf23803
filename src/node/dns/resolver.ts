/** From a service's `dns` to its endpoints, by what is known and what is asked for. */

import type { Files } from "../../machine.ts";
import type { DnsConfig, ResolverConfig } from "../../snapshot.ts";
import { ADDRESSES_MAX } from "./addresses.ts";
import type { Answer } from "./answer.ts";
import { DnsClient } from "./client.ts";
import type { ExchangeParts } from "./exchange.ts";
import { type Finding, findingOf, type Place } from "./finding.ts";
import { combined, type Found, mapItems, type Something } from "./found.ts";
import { type Bounds, KnownAnswers } from "./known-answers.ts";
import type { Question, ServiceRecord } from "./message.ts";
import { candidatesOf, REREAD_MS, SystemFiles } from "./system-files.ts";

export interface ResolverParts extends ExchangeParts {
  readonly files: Pick<Files, "read">;
}

/** Targets of one SRV answer that are looked up. */
export const TARGETS_MAX = ADDRESSES_MAX;
const LOOPBACK = ["127.0.0.1", "::1"];

export class Resolver {
  readonly #parts: ResolverParts;
  readonly #system: SystemFiles;
  readonly #known: KnownAnswers;
  #config: ResolverConfig = { servers: [], timeoutMs: 1000 };

  constructor(parts: ResolverParts) {
    this.#parts = parts;
    this.#system = new SystemFiles(parts.files, parts.clock);
    const client = new DnsClient(parts, this.#system);
    this.#known = new KnownAnswers({ ...parts, ask: (question) => client.ask(question, this.#config) });
  }

  /** Other servers are asked at the next lookup of each name. */
  configure(config: ResolverConfig): void {
    if (JSON.stringify(config) === JSON.stringify(this.#config)) return;
    this.#config = config;
    this.#known.expire();
  }

  /** Never rejects. */
  async find(dns: DnsConfig): Promise<Finding> {
    const { port } = dns;
    const found =
      port === null
        ? await this.#servicePlaces(dns)
        : mapItems(await this.#addresses(dns), (address): Place => ({ address, port, weight: 1 }));
    return findingOf(found, dns.name, this.#parts.datagrams);
  }

  async #addresses(dns: DnsConfig): Promise<Found<string>> {
    const local = await this.#localAddresses(dns.name);
    return local ?? this.#search(dns.name, (name) => this.#askAddresses(name, dns));
  }

  /** What needs no server: the hosts file, then `localhost` (RFC 6761 section 6.3). */
  async #localAddresses(name: string): Promise<Found<string> | null> {
    const plain = name.replace(/\.$/, "");
    const named = (await this.#system.hosts()).get(plain);
    const items = named ?? (/(^|\.)localhost$/.test(plain) ? LOOPBACK : null);
    if (items === null) return null;
    return { kind: "found", items, stale: null, freshUntilMs: this.#parts.clock.now() + REREAD_MS };
  }

  async #askAddresses(name: string, bounds: Bounds): Promise<Found<string>> {
    const types = ["A", "AAAA"] as const;
    const both = types.map((type) => this.#ask({ name, type }, bounds, addressesIn));
    return combined(await Promise.all(both));
  }

  async #servicePlaces(dns: DnsConfig): Promise<Found<Place>> {
    const found = await this.#search(dns.name, (name) => this.#ask({ name, type: "SRV" }, dns, targetsIn));
    if (found.kind !== "found") {
      // Whoever forgot the port is told.
      const hint = found.kind === "nothing" ? "; NAME:PORT asks for addresses instead" : "";
      return { ...found, why: `${found.why}${hint}` };
    }
    const priorities = [...new Set(found.items.map(({ priority }) => priority))].sort((a, b) => a - b);
    const empty: Found<Place>[] = [];
    for (const priority of priorities) {
      const targets = found.items.filter((one) => one.priority === priority).slice(0, TARGETS_MAX);
      const places = await this.#placesOf({ ...found, items: targets }, dns);
      if (places.kind !== "nothing") return places;
      empty.push(places);
    }
    return combined(empty);
  }

  /** The addresses behind the SRV records of one priority (RFC 2782). */
  async #placesOf({ items, stale, freshUntilMs }: Something<Target>, bounds: Bounds): Promise<Found<Place>> {
    const parts = await Promise.all(
      items.map(async ({ target, port, weight, addresses }) => {
        const came: Found<string> = { kind: "found", items: addresses, stale, freshUntilMs };
        const found = addresses.length > 0 ? came : await this.#addressesOfTarget(target, bounds);
        // RFC 2782 has 0 for what is hardly ever to be chosen; for a balancer that would be never.
        return mapItems(found, (address): Place => ({ address, port, weight: Math.max(1, weight) }));
      }),
    );
    const all = combined(parts);
    const soonest = { freshUntilMs: Math.min(all.freshUntilMs, freshUntilMs) };
    return all.kind === "found" ? { ...all, stale: all.stale ?? stale, ...soonest } : { ...all, ...soonest };
  }

  async #addressesOfTarget(target: string, bounds: Bounds): Promise<Found<string>> {
    return (await this.#localAddresses(target)) ?? this.#askAddresses(target, bounds);
  }

  /** The first candidate of the search that has something; a failure ends it, for it may hide an answer. */
  async #search<Item>(name: string, look: (name: string) => Promise<Found<Item>>): Promise<Found<Item>> {
    // Servers that the config names are asked for the name as it stands there.
    const rules = this.#config.servers.length > 0 ? { search: [], dots: 0 } : await this.#system.resolver();
    const empty: Found<Item>[] = [];
    for (const candidate of candidatesOf(name, rules)) {
      const found = await look(candidate);
      if (found.kind !== "nothing") return found;
      empty.push(found);
    }
    return combined(empty);
  }

  async #ask<Item>(
    question: Question,
    { refreshMinMs, refreshMaxMs }: Bounds,
    itemsIn: (records: Records) => readonly Item[],
  ): Promise<Found<Item>> {
    const known = await this.#known.find(question, { refreshMinMs, refreshMaxMs });
    const { answer, freshUntilMs, staleBecause: stale } = known;
    if (answer.kind !== "records") return { kind: answer.kind, why: answer.why, freshUntilMs };
    const items = itemsIn(answer);
    if (items.length === 0) return { kind: "nothing", why: "its SRV records name no target", freshUntilMs };
    return { kind: "found", items, stale, freshUntilMs };
  }
}

type Records = Extract<Answer, { readonly kind: "records" }>;

/** An SRV record, with the addresses of its target that came along. */
interface Target extends ServiceRecord {
  readonly addresses: readonly string[];
}

function addressesIn({ records }: Records): string[] {
  return records.flatMap((record) => (record.type === "SRV" ? [] : [record.address]));
}

/** The root as a target says that there decidedly is no such service. */
function targetsIn({ records, additional }: Records): Target[] {
  return records
    .filter((record) => record.type === "SRV")
    .filter(({ target, port }) => target !== "" && port !== 0)
    .sort((left, right) => left.target.localeCompare(right.target, "en") || left.port - right.port)
    .map((record) => {
      const came = additional.filter(({ name }) => name === record.target);
      return { ...record, addresses: came.map(({ address }) => address) };
    });
}
