/** What one process uses of the rooms of a node: a name that it takes several times is one room, until all gave it back. */
import type { Rooms } from "./rooms.ts";
import type { TextHash } from "./text-hash.ts";

export interface Lease<Value> {
  readonly value: Value;
  /** Once. */
  giveBack(): void;
}

interface Held<Value> {
  readonly room: number;
  readonly value: Value;
  users: number;
}

export class Leases<Value> {
  readonly #rooms: Rooms;
  readonly #process: number;
  readonly #open: (room: number) => Value;
  readonly #held = new Map<string, Held<Value>>();

  constructor(rooms: Rooms, process: number, open: (room: number) => Value) {
    this.#rooms = rooms;
    this.#process = process;
    this.#open = open;
  }

  /** Null when there is no room left. */
  take(name: string, hash: TextHash): Lease<Value> | null {
    const held = this.#held.get(name) ?? this.#enter(name, hash);
    if (held === null) return null;
    held.users += 1;
    return { value: held.value, giveBack: () => this.#giveBack(name, held) };
  }

  #enter(name: string, hash: TextHash): Held<Value> | null {
    const room = this.#rooms.take(hash, this.#process);
    if (room === null) return null;
    const held = { room, value: this.#open(room), users: 0 };
    this.#held.set(name, held);
    return held;
  }

  #giveBack(name: string, held: Held<Value>): void {
    held.users -= 1;
    if (held.users > 0) return;
    this.#held.delete(name);
    this.#rooms.giveBack(held.room, this.#process);
  }
}
