/**
 * Whole requests through the runtime in this process, over sockets in memory: what our own code and Bun's part of the
 * language cost, without the kernel. The callers and the service behind it are a few lines here, the same for each row.
 */
import { drainMicrotasks } from "bun:jsc";
import { loadConfig } from "../src/config/load.ts";
import type { FindFilters } from "../src/filter-lookup.ts";
import { certificates } from "../src/host/certificates/node.ts";
import { systemClock } from "../src/host/clock/node.ts";
import { systemRandom } from "../src/host/random/node.ts";
import type { Address, ByteSocket, SocketOwner, Sockets } from "../src/machine.ts";
import { NodeMemory } from "../src/runtime/node-memory/index.ts";
import { privateMemory } from "../src/runtime/node-memory/private-memory.ts";
import { NO_NAMES } from "../src/runtime/proxy/host-names.ts";
import { createRuntime } from "../src/runtime/runtime.ts";
import { createWorkerMeters } from "../src/telemetry/worker-meters.ts";
import type { FilterDefinition } from "../src/types.ts";
import { findFilters } from "../test/found-filters.ts";

/** Callers that have a request under way at the same time, as in the workloads over real sockets. */
const callers = 64;
const answerWaitMs = 5_000;

const answer = Buffer.from(
  "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n" +
    "Content-Length: 49\r\nConnection: keep-alive\r\nX-Backend: bench\r\n\r\n" +
    "hello world, this is a small body of some bytes\n\n",
);

/** One end of a connection: counts what the program writes there, and has the last of it. */
class MemorySocket implements ByteSocket {
  readonly remoteAddress = "127.0.0.1";
  readonly localPort = 1;
  readonly tls = null;
  writes = 0;
  readonly owner: SocketOwner;
  #bytes: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;

  constructor(owner: SocketOwner) {
    this.owner = owner;
  }

  /** As text; true until somebody writes to any socket. */
  get last(): string {
    return Buffer.from(this.#bytes.subarray(this.#start, this.#end)).toString("latin1");
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    this.writes += 1;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    return end - start;
  }

  pause(): void {}
  resume(): void {}
  end(): void {}
  close(): void {}
  reset(): void {}
}

export interface MemoryFilters {
  /** YAML of the list under the route's `filters:`, in flow style. */
  readonly filters: string;
  /** Further ones that it names. */
  readonly own?: readonly FilterDefinition[];
  /** Whole heads, asked for in turn. */
  readonly requests: readonly string[];
}

export class MemoryRequests {
  readonly #accepted: MemorySocket[] = [];
  readonly #dialed: MemorySocket[] = [];
  readonly #requests: readonly Buffer[];
  #accept: (() => SocketOwner) | null = null;
  #at = 0;
  /** Lines of logs. */
  lines = 0;

  private constructor(requests: readonly string[]) {
    this.#requests = requests.map((text) => Buffer.from(text, "latin1"));
  }

  static async start(wanted: MemoryFilters): Promise<MemoryRequests> {
    const made = new MemoryRequests(wanted.requests);
    await made.#apply(wanted);
    return made;
  }

  async #apply({ filters, own = [] }: MemoryFilters): Promise<void> {
    const find: FindFilters = async (names, folder) => {
      const found = await findFilters(
        new Set([...names].filter((name) => !own.some((each) => each.name === name))),
        folder,
      );
      return {
        ...found,
        filters: new Map([...found.filters, ...own.map((each) => [each.name, each] as const)]),
      };
    };
    const { snapshot, problems } = await loadConfig({
      certificates,
      clock: systemClock,
      file: "/clearway.yaml",
      files: {
        read: async () => `
listeners:
  web: { bind: "127.0.0.1:1", routes: [{ match: {}, to: backend, filters: ${filters} }] }
services:
  backend: { endpoints: ["127.0.0.1:2"] }
`,
        list: async () => [],
      },
      findFilters: find,
      environment: {},
      version: 1,
    });
    if (snapshot === null) throw new Error(problems.map(({ message }) => message).join("\n"));
    const say = (message: string) => console.error(message);
    const runtime = createRuntime({
      sockets: this.#sockets(),
      clock: systemClock,
      random: systemRandom(),
      findFilters: find,
      meters: createWorkerMeters(),
      log: { debug: () => {}, info: () => {}, warn: say, error: say },
      open: () => ({
        line: () => {
          this.lines += 1;
        },
        dropped: 0,
      }),
      fetch,
      share: new NodeMemory(privateMemory(), systemRandom()).share(0),
      names: NO_NAMES,
      want: () => {},
      nodeId: "bench",
    });
    const result = await runtime.apply(snapshot);
    if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join("\n"));
    for (let count = 0; count < callers; count++) {
      const owner = this.#accept!();
      const socket = new MemorySocket(owner);
      this.#accepted.push(socket);
      owner.onOpen(socket);
    }
  }

  #sockets(): Sockets {
    return {
      listen: async (address: Address, _sharing, accept) => {
        this.#accept = accept;
        return { address, stop: () => {} };
      },
      connect: (_address, owner) => {
        queueMicrotask(() => {
          const socket = new MemorySocket(owner);
          this.#dialed.push(socket);
          owner.onOpen(socket);
        });
        return () => {};
      },
      tlsContext: () => {
        throw new Error("no TLS in memory");
      },
      acceptTls: () => {
        throw new Error("no TLS in memory");
      },
    };
  }

  /** One request of each caller. The host runs promises after each event of a socket; so does this. */
  async turn(): Promise<void> {
    const requests = this.#requests;
    for (const caller of this.#accepted) {
      caller.writes = 0;
      const request = requests[this.#at]!;
      this.#at = this.#at + 1 === requests.length ? 0 : this.#at + 1;
      // A chunk belongs to its receiver.
      caller.owner.onData(Buffer.from(request));
      drainMicrotasks();
    }
    let answered = 0;
    const deadlineMs = performance.now() + answerWaitMs;
    for (let tries = 0; answered < callers; tries++) {
      if (performance.now() > deadlineMs)
        throw new Error(`${callers - answered} of ${callers} requests have no answer`);
      // Some filters wait for more than promises, and all do at first.
      if (tries > 0) await new Promise<void>((resolve) => setTimeout(resolve, tries > 10 ? 1 : 0));
      for (const service of this.#dialed) {
        if (service.writes === 0) continue;
        service.writes = 0;
        service.owner.onData(Buffer.from(answer));
        drainMicrotasks();
      }
      answered = 0;
      for (const caller of this.#accepted) if (caller.writes > 0) answered += 1;
    }
  }

  /** What the last caller is answered. */
  async answer(): Promise<string> {
    await this.turn();
    return this.#accepted.at(-1)!.last;
  }

  /** Nanoseconds of CPU for each request, of all threads of this process. */
  async measure(requests: number): Promise<number> {
    const turns = Math.ceil(requests / callers);
    const start = process.cpuUsage();
    for (let turn = 0; turn < turns; turn++) await this.turn();
    const { user, system } = process.cpuUsage(start);
    return ((user + system) * 1000) / (turns * callers);
  }
}
