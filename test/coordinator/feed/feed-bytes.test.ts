/** What a change costs on the wire: as much as changed, however large the service is and whatever happened to it before. */
import { expect, test } from "bun:test";
import { gatherMs } from "../../../src/coordinator/feed/feed.ts";
import type { FeedMessage, InstanceState } from "../../../src/mesh.ts";
import { instance } from "../mesh-documents.ts";
import { FedRegistry } from "./fed-registry.ts";
import { ListeningNode } from "./listening-node.ts";

const nodeInstances = 10;

/** A service of so many instances, ten on each node, and a caller that listens. */
class World extends FedRegistry {
  readonly caller = new ListeningNode("s1", "storefront", ["payments"]);
  readonly #states: InstanceState[];

  constructor(size: number) {
    super();
    this.#states = Array.from({ length: size }, () => "healthy");
    for (let first = 0; first < size; first += nodeInstances) this.#renew(first);
    this.caller.connect(this.feed);
  }

  /** What the caller is told then, and in how many bytes. */
  async become(state: InstanceState, ...indexes: number[]): Promise<Told> {
    for (const index of indexes) {
      this.#states[index] = state;
      this.#renew(index - (index % nodeInstances));
    }
    const before = this.caller.bytes;
    this.clock.advance(gatherMs + 1);
    const messages = await this.caller.heard();
    return { bytes: this.caller.bytes - before, messages };
  }

  #renew(first: number): void {
    const states = this.#states.slice(first, first + nodeInstances);
    // Ids of one length: bytes are compared.
    const instances = states.map((state, at) =>
      instance(`p${String(first + at).padStart(6, "0")}`, "payments", { state }),
    );
    this.registry.renew("payments", { node: `n${first}`, instances });
  }
}

interface Told {
  readonly bytes: number;
  readonly messages: readonly FeedMessage[];
}

function idsIn(messages: readonly FeedMessage[]): string[] {
  return messages.flatMap((message) =>
    message.kind === "changed" ? message.put.map(({ id }) => id) : [message.kind],
  );
}

/** One instance after the other falls ill and recovers. */
async function rounds(size: number): Promise<Told[]> {
  const world = new World(size);
  await world.caller.heard();
  const told: Told[] = [];
  for (let round = 0; round < 40; round += 1) {
    const index = (round * 7) % size;
    told.push(await world.become("unhealthy", index), await world.become("healthy", index));
  }
  return told;
}

test("a change of one instance is as many bytes in a service of 10 as in one of 1,000, however often such happened", async () => {
  const [few, many] = [await rounds(10), await rounds(1000)];
  const bytes = [...few, ...many].map((told) => told.bytes);
  expect(Math.max(...bytes)).toBeLessThan(400);
  // "unhealthy" is longer than "healthy", and 1,000 than 10.
  expect(Math.max(...bytes) - Math.min(...bytes)).toBeLessThan(8);
});

test("one that falls ill after others did and recovered is told alone", async () => {
  for (const { messages } of await rounds(1000)) {
    expect(messages.map(({ kind }) => kind)).toEqual(["changed", "live"]);
    expect(idsIn(messages)).toHaveLength(2);
  }
});

test("ten instances that change are ten times one, less what is around them", async () => {
  const world = new World(1000);
  await world.caller.heard();
  const one = await world.become("unhealthy", 0);
  await world.become("healthy", 0);
  const ten = await world.become("unhealthy", ...Array.from({ length: 10 }, (_, at) => at * 100));
  expect(idsIn(ten.messages)).toHaveLength(11);
  expect(ten.bytes).toBeLessThan(10 * one.bytes);
  expect(ten.bytes).toBeGreaterThan(5 * one.bytes);
});

test("a node that was away while one fell ill and recovered and another fell ill is told of those since it left", async () => {
  const world = new World(1000);
  await world.caller.heard();
  for (const before of [1, 2, 3]) {
    await world.become("unhealthy", before);
    await world.become("healthy", before);
  }
  world.caller.disconnect("at once");
  await world.become("unhealthy", 4);
  world.caller.connect(world.feed);
  expect(idsIn(await world.caller.heard())).toEqual(["mesh", "p000004", "live"]);
});
