/** A coordinator in memory: a test says what it answers and sends. */
import type { FeedMessage, FeedRequest, LeaseRequest } from "../../../src/mesh.ts";
import { CoordinatorFault, type OpenFeed } from "../../../src/node/mesh/coordinator.ts";

export class FakeFeed implements OpenFeed {
  readonly request: FeedRequest;
  closed = false;
  readonly #waiting: (FeedMessage | Error | null)[] = [];
  #wake: () => void = () => {};

  constructor(request: FeedRequest) {
    this.request = request;
  }

  send(...messages: (FeedMessage | Error | null)[]): void {
    this.#waiting.push(...messages);
    this.#wake();
  }

  get messages(): AsyncIterable<FeedMessage> {
    return this.#read();
  }

  async *#read(): AsyncGenerator<FeedMessage> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (next === null) return;
      if (next instanceof Error) throw next;
      yield next;
    }
  }

  close(): void {
    this.closed = true;
  }
}

export class FakeCoordinator {
  readonly feeds: FakeFeed[] = [];
  readonly leases: LeaseRequest[] = [];
  reachable = true;
  /** An answer waits for this. */
  gate: Promise<void> = Promise.resolve();

  readonly open = async (request: FeedRequest): Promise<OpenFeed> => {
    this.#answerOrNot();
    const feed = new FakeFeed(request);
    this.feeds.push(feed);
    return feed;
  };

  readonly lease = async (request: LeaseRequest) => {
    this.#answerOrNot();
    this.leases.push(request);
    await this.gate;
    return { leaseMs: 10_000, renewEveryMs: 3_000 };
  };

  #answerOrNot(): void {
    if (!this.reachable) throw new CoordinatorFault("unreachable", "connection refused", "later");
  }
}

/** Until what was promised in memory has happened. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
