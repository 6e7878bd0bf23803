/**
 * The memory that all processes of a node see: which bytes mean what. It holds what must be right for the node as a
 * whole while its workers only know themselves. There are no locks: a process that is killed holds nothing.
 */
import type { Random } from "../../machine.ts";
import type { Counter } from "../../types.ts";
import { ConnectionCount } from "./connection-count.ts";
import { KeyTable } from "./key-table.ts";

/** Worker processes of a node at the same time, those included that only finish their requests. */
export const processesMax = 128;
/** Listening addresses that a node counts by, over its life. */
const listenersMax = 1024;
/** Counters that filters of a node name, over its life. */
const countersMax = 4096;
/** Bytes of a word of 64 bits. */
const wordBytes = 8;
/** The node as a whole, then each listener. */
const rowsMax = 1 + listenersMax;

/** In their order, each a whole number of words. What nobody touches costs no memory. */
const regionBytes = {
  /** What hashes of texts begin with. */
  seed: wordBytes,
  /** One more than the highest number that a process had. */
  processes: wordBytes,
  /** Hashes of the listeners' addresses. */
  listenerKeys: listenersMax * wordBytes,
  /** Open connections: a row for the node and one for each listener, in it 32 bits for each process. */
  connections: rowsMax * processesMax * 4,
  counterKeys: countersMax * wordBytes,
  counters: countersMax * wordBytes,
  /** For the tables of keyed limits. */
  keyedLimits: 16 * 1024 * 1024,
};

type Region = keyof typeof regionBytes;

export const nodeMemoryBytes = Object.values(regionBytes).reduce((sum, bytes) => sum + bytes, 0);

/** What one process counts together with the others. */
export interface NodeShare {
  /** Open downstream connections of the node. */
  readonly connections: ConnectionCount;
  /** Those of one listening address; throws an Error when the node counted too many addresses. */
  connectionsAt(address: string): ConnectionCount;
  /** Throws an Error when the node has too many. */
  counter(key: string): Counter;
}

export class NodeMemory {
  readonly #bytes: ArrayBuffer;
  readonly #cells: Int32Array;
  readonly #listeners: KeyTable;
  readonly #counters: KeyTable;

  /** Zeroed bytes, or those that another process of the node uses already; `nodeMemoryBytes` of them. */
  constructor(bytes: ArrayBuffer, random: Random) {
    this.#bytes = bytes;
    this.#cells = new Int32Array(bytes, offsetOf("connections"), rowsMax * processesMax);
    const seed = agreedSeed(this.#words("seed"), random);
    this.#listeners = new KeyTable(this.#words("listenerKeys"), seed);
    this.#counters = new KeyTable(this.#words("counterKeys"), seed);
  }

  /** For the process that has this number, from 0 to `processesMax` - 1, alone. */
  share(process: number): NodeShare {
    const used = raised(this.#words("processes"), process + 1);
    const counted = new Map<string, Counter>();
    return {
      connections: new ConnectionCount(this.#row(0), process, used),
      connectionsAt: (address) => new ConnectionCount(this.#row(1 + this.#listener(address)), process, used),
      counter: (key) => {
        const known = counted.get(key);
        if (known !== undefined) return known;
        const counter = this.#counter(key);
        counted.set(key, counter);
        return counter;
      },
    };
  }

  /** Open downstream connections of one process. */
  connectionsOf(process: number): number {
    return Atomics.load(this.#cells, process);
  }

  /** The process is gone, and its connections are. */
  forget(process: number): void {
    // Not all rows: to touch what nobody uses would cost memory.
    const rows = [0, ...this.#listeners.taken().map((place) => 1 + place)];
    for (const row of rows) Atomics.store(this.#cells, row * processesMax + process, 0);
  }

  #words(region: Region): BigInt64Array {
    return new BigInt64Array(this.#bytes, offsetOf(region), regionBytes[region] / wordBytes);
  }

  #row(row: number): Int32Array {
    return this.#cells.subarray(row * processesMax, (row + 1) * processesMax);
  }

  #listener(address: string): number {
    const place = this.#listeners.claim(address);
    if (place !== null) return place;
    throw new Error(
      `cannot count the connections of ${address}: this node has had ${listenersMax} listening addresses since it started; restart it`,
    );
  }

  #counter(key: string): Counter {
    const place = this.#counters.claim(key);
    if (place !== null) return new SharedCounter(this.#words("counters"), place);
    throw new Error(
      `cannot count under ${JSON.stringify(key)}: the filters of this node already count under ${countersMax} keys`,
    );
  }
}

class SharedCounter implements Counter {
  readonly #words: BigInt64Array;
  readonly #place: number;

  constructor(words: BigInt64Array, place: number) {
    this.#words = words;
    this.#place = place;
  }

  add(amount: number): number {
    return Number(Atomics.add(this.#words, this.#place, BigInt(amount))) + amount;
  }

  swap(expected: number, value: number): number {
    return Number(Atomics.compareExchange(this.#words, this.#place, BigInt(expected), BigInt(value)));
  }

  get value(): number {
    return Number(Atomics.load(this.#words, this.#place));
  }
}

function offsetOf(region: Region): number {
  let offset = 0;
  for (const [name, bytes] of Object.entries(regionBytes)) {
    if (name === region) break;
    offset += bytes;
  }
  return offset;
}

/** A number that only grows. */
function raised({ buffer, byteOffset }: BigInt64Array, value: number): Int32Array {
  const number = new Int32Array(buffer, byteOffset, 1);
  for (let known = Atomics.load(number, 0); known < value; ) {
    known = Atomics.compareExchange(number, 0, known, value);
  }
  return number;
}

/** The first process draws it, the others find it. */
function agreedSeed(words: BigInt64Array, random: Random): bigint {
  const drawn = BigInt.asIntN(64, BigInt(`0x${random.id().slice(0, 16)}`));
  return Atomics.compareExchange(words, 0, 0n, drawn) || drawn;
}
