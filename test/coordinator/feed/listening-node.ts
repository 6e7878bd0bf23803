/** A node as the feed knows one: it subscribes with the tags that it has, and reads when it is told to. */
import type { Feed } from "../../../src/coordinator/feed/feed.ts";
import type { Subscription } from "../../../src/coordinator/feed/subscription.ts";
import type { FeedMessage } from "../../../src/mesh.ts";
import { MeshView } from "../../../src/node/mesh/mesh-view.ts";

export class ListeningNode {
  readonly view = new MeshView();
  readonly messages: FeedMessage[] = [];
  bytes = 0;
  #subscription: Subscription | null = null;
  /** "yes" while a `next` waits. */
  #waiting: "yes" | "no" = "no";

  constructor(
    readonly node: string,
    readonly service: string,
    readonly services: readonly string[],
  ) {}

  get connected(): boolean {
    return this.#subscription !== null;
  }

  connect(feed: Feed): void {
    const { node, service, services } = this;
    const known = this.view.reconnecting(services);
    this.#subscription = feed.subscribe({ service, node }, { node, services, known }, () => {});
    this.#waiting = "no";
  }

  /** Its connection breaks; `noticed` says whether the coordinator knows. */
  disconnect(noticed: "at once" | "not yet"): void {
    if (noticed === "at once") this.#subscription?.end();
    this.#subscription = null;
  }

  /** Takes one piece when there is one. */
  async read(): Promise<"read" | "nothing"> {
    const subscription = this.#subscription;
    if (subscription === null) return "nothing";
    const before = this.messages.length;
    if (this.#waiting === "no") {
      this.#waiting = "yes";
      void subscription.next().then((bytes) => this.#took(subscription, bytes));
    }
    // What `next` has at once is there after its promise's callbacks ran.
    for (let turn = 0; turn < 3; turn++) await Promise.resolve();
    return this.messages.length > before ? "read" : "nothing";
  }

  async readAll(): Promise<void> {
    while ((await this.read()) === "read");
  }

  /** What was said since the last call. */
  async heard(): Promise<FeedMessage[]> {
    await this.readAll();
    return this.messages.splice(0);
  }

  #took(subscription: Subscription, bytes: Buffer | null): void {
    if (subscription !== this.#subscription) return;
    this.#waiting = "no";
    if (bytes === null) {
      this.#subscription = null;
      return;
    }
    this.bytes += bytes.length;
    for (const line of bytes.toString().trimEnd().split("\n")) {
      const message = JSON.parse(line) as FeedMessage;
      this.messages.push(message);
      this.view.take(message);
    }
  }
}
