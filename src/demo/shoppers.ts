/** The traffic: shoppers who each send one request after the other and look at every answer. */
import type { Clock, Random } from "../machine.ts";
import { accounts } from "./accounts.ts";
import type { Pause } from "./pause.ts";
import { products } from "./products.ts";
import { Tally } from "./tally.ts";

interface Wanted {
  readonly status: number;
  /** What the answer must hold beyond its status; null when all is there. */
  problem?(response: Response, body: string): string | null;
}

/** Whether a request may be sent again when it is not known what became of it (RFC 9110, section 9.2.2). */
export type Repeatable = "repeatable" | "once";

interface Errand {
  readonly name: string;
  /** How often it is run, against the others. */
  readonly weight: number;
  readonly wanted: Wanted;
  /** The path, and what is sent there. */
  request(random: Random): { path: string; init?: RequestInit };
}

const pick = <Item>(random: Random, items: readonly Item[]): Item =>
  items[Math.floor(random.fraction() * items.length)]!;

const hasText = (text: string) => (_: Response, body: string) =>
  body.includes(text) ? null : `no ${JSON.stringify(text)} in ${JSON.stringify(body.slice(0, 80))}`;

const errands: readonly Errand[] = [
  {
    name: "GET  /",
    weight: 15,
    wanted: { status: 200, problem: hasText(products[0]!.name) },
    request: () => ({ path: "/" }),
  },
  {
    name: "GET  /api/products",
    weight: 25,
    wanted: { status: 200, problem: hasText(`"sku":"${products[0]!.sku}"`) },
    request: () => ({ path: "/api/products" }),
  },
  {
    name: "GET  /api/products/:sku",
    weight: 30,
    wanted: { status: 200, problem: hasText('"priceCents":') },
    request: (random) => ({ path: `/api/products/${pick(random, products).sku}` }),
  },
  {
    name: "GET  /api/products/none",
    weight: 2,
    wanted: { status: 404, problem: hasText("no such product") },
    request: () => ({ path: "/api/products/none" }),
  },
  {
    name: "GET  /api/accounts/:id",
    weight: 12,
    wanted: { status: 200, problem: hasText('"country":') },
    request: (random) => ({ path: `/api/accounts/${pick(random, accounts).id}` }),
  },
  {
    name: "POST /checkout",
    weight: 10,
    wanted: { status: 201, problem: hasText('"receipt":') },
    request: (random) => ({
      path: "/checkout",
      init: {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ account: pick(random, accounts).id, sku: pick(random, products).sku }),
      },
    }),
  },
  {
    name: "GET  /shop/old (redirect)",
    weight: 3,
    wanted: {
      status: 308,
      problem: (response) =>
        response.headers.get("location")?.endsWith("/old") === true ? null : "location does not end in /old",
    },
    request: () => ({ path: "/shop/old", init: { redirect: "manual" } }),
  },
  {
    name: "GET  /healthz (gateway)",
    weight: 3,
    wanted: { status: 200, problem: hasText("ok") },
    request: () => ({ path: "/healthz" }),
  },
];

const shoppersMax = 8;
const answerTimeoutMs = 10_000;
/** More failures are counted, not kept. */
const failuresKeptMax = 1000;

export interface ShopperParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly pause: Pause;
  readonly gatewayUrl: string;
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

/** A request that did not get the answer that it should. */
export interface Failure {
  readonly errand: string;
  readonly kind: Repeatable;
  readonly problem: string;
  /** When the answer, or none, was there. */
  readonly atMs: number;
}

export class Shoppers {
  /** By the errand's name, since the start. */
  readonly byErrand = new Map(errands.map(({ name }) => [name, new Tally()]));
  /** Since `clearRecent`. */
  readonly recent = new Tally();
  /** Which version of products answered, since `clearRecent`. */
  readonly versions = new Map<string, number>();
  /** The same while one split holds: others say when. */
  split: Map<string, number> | null = null;
  /** The first ones; all are counted. */
  readonly failures: Failure[] = [];
  readonly failed = { repeatable: 0, once: 0 };
  readonly sent = { repeatable: 0, once: 0 };
  readonly #parts: ShopperParts;
  #stopping = false;
  #done: Promise<unknown> = Promise.resolve();

  constructor(parts: ShopperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#done = Promise.all(Array.from({ length: shoppersMax }, () => this.#shop()));
  }

  /** Requests under way are finished and counted. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  clearRecent(): void {
    this.recent.clear();
    this.versions.clear();
  }

  async #shop(): Promise<void> {
    while (!this.#stopping) {
      await this.#run(this.#nextErrand());
      await this.#parts.pause({ fromMs: 10, toMs: 40 });
    }
  }

  #nextErrand(): Errand {
    let ticket = this.#parts.random.fraction() * errands.reduce((sum, { weight }) => sum + weight, 0);
    for (const errand of errands) {
      ticket -= errand.weight;
      if (ticket < 0) return errand;
    }
    return errands[0]!;
  }

  async #run(errand: Errand): Promise<void> {
    const { clock } = this.#parts;
    const startMs = clock.now();
    const problem = await this.#problemOf(errand);
    const durationMs = clock.now() - startMs;
    const outcome = problem === null ? "right" : "wrong";
    const kind: Repeatable = errand.name.startsWith("GET") ? "repeatable" : "once";
    this.sent[kind] += 1;
    this.recent.record(durationMs, outcome);
    this.byErrand.get(errand.name)?.record(durationMs, outcome);
    if (problem === null) return;
    this.failed[kind] += 1;
    if (this.failures.length < failuresKeptMax) {
      this.failures.push({ errand: errand.name, kind, problem, atMs: clock.now() });
    }
  }

  /** Sends one request and reads its whole answer; null when it is the right one. */
  async #problemOf({ request, wanted }: Errand): Promise<string | null> {
    const { clock, random, gatewayUrl, fetch } = this.#parts;
    const { path, init } = request(random);
    const giveUp = new AbortController();
    const cancel = clock.after(answerTimeoutMs, () => giveUp.abort());
    try {
      const response = await fetch(`${gatewayUrl}${path}`, { ...init, signal: giveUp.signal });
      const body = await response.text();
      this.#noteVersion(response);
      if (response.status !== wanted.status) return statusProblem(response, body, wanted.status);
      if (!response.headers.has("x-request-id")) return "the answer has no x-request-id";
      return wanted.problem?.(response, body) ?? null;
    } catch (error) {
      if (giveUp.signal.aborted) return `no whole answer within ${answerTimeoutMs / 1000} s`;
      return error instanceof Error ? error.message : String(error);
    } finally {
      cancel();
    }
  }

  #noteVersion(response: Response): void {
    const version = response.headers.get("x-version");
    if (version === null) return;
    for (const counts of [this.versions, this.split]) counts?.set(version, (counts.get(version) ?? 0) + 1);
  }
}

function statusProblem(response: Response, body: string, wanted: number): string {
  const reason = response.headers.get("x-clearway-reason") ?? body.slice(0, 80).trim();
  return `wanted status ${wanted}, got ${response.status}${reason === "" ? "" : ` (${reason})`}`;
}
