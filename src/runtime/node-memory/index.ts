/**
 * The memory that all processes of a node see: which bytes mean what. It holds what must be right for the node as a
 * whole while its workers only know themselves. There are no locks: a process that is killed holds nothing.
 */
import type { PartedMemory, Random } from "../../machine.ts";
import type { Counter } from "../../types.ts";
import { ConnectionCount } from "./connection-count.ts";
import { KeyTable } from "./key-table.ts";
import { type Lease, Leases } from "./leases.ts";
import { LimitTable, slotBytes } from "./limit-table.ts";
import { Rooms } from "./rooms.ts";
import { type FilterMark, filterNumber, RunningFilter } from "./running-filter.ts";
import { hashOf, type TextHash, textHash } from "./text-hash.ts";

/** Worker processes of a node at the same time, those included that only finish their requests. */
export const processesMax = 128;
/** Listening addresses that a node counts by, over its life. */
const listenersMax = 1024;
/** Counters that filters of a node name, over its life. */
const countersMax = 4096;
/** Counts of what is under way that filters of a node name, at the same time. */
const inFlightMax = 1024;
/** Tables of keyed limits by their slots: how many of each size filters may have at the same time. */
const small = { slots: 4096, tables: 128 };
const middle = { slots: 65_536, tables: 32 };
const large = { slots: 1_048_576, tables: 2 };
/** Slots for each key that a table is to hold: with half of them free, nearly no set is full. */
const slotsOfKey = 2;
/** Keys that the largest table holds. */
export const limitKeysMax = large.slots / slotsOfKey;
/** On ARM64; a table is one at least. */
const pageBytesMax = 64 * 1024;
/** Bytes of a word of 64 bits. */
const wordBytes = 8;
/** The node as a whole, then each listener. */
const rowsMax = 1 + listenersMax;

/** In their order, each a whole number of words. What nobody touches costs no memory. */
const regionBytes = {
  /** What hashes of texts begin with. */
  seed: wordBytes,
  /** Milliseconds of the epoch from which limits count their time, so that doubles of it are fine enough. */
  start: wordBytes,
  /** One more than the highest number that a process had. */
  processes: wordBytes,
  /** Hashes of the listeners' addresses. */
  listenerKeys: listenersMax * wordBytes,
  /** Open connections: a row for the node and one for each listener, in it 32 bits for each process. */
  connections: rowsMax * processesMax * 4,
  counterKeys: countersMax * wordBytes,
  counters: countersMax * wordBytes,
  /** Of each process, 32 bits: the user's filter that runs, or ran last. */
  runningFilters: processesMax * 4,
  /** What is under way: which names the rooms have, who uses them, and in each room 32 bits for each process. */
  ...{ flightRooms: inFlightMax * wordBytes, flightNotes: inFlightMax * processesMax * 4 },
  flights: inFlightMax * processesMax * 4,
  /** The tables of keyed limits: names and users for each size. */
  ...{ smallRooms: small.tables * wordBytes, smallNotes: small.tables * processesMax * 4 },
  ...{ middleRooms: middle.tables * wordBytes, middleNotes: middle.tables * processesMax * 4 },
  ...{ largeRooms: large.tables * wordBytes, largeNotes: large.tables * processesMax * 4 },
};

/** What every process maps, in whole pages. */
const baseBytes = pages(Object.values(regionBytes).reduce((sum, bytes) => sum + bytes, 0));
/** Behind it, in this order; a table is mapped by those who use it. */
const tableSizes = [
  { ...small, rooms: "smallRooms", notes: "smallNotes" },
  { ...middle, rooms: "middleRooms", notes: "middleNotes" },
  { ...large, rooms: "largeRooms", notes: "largeNotes" },
] as const;

type Region = keyof typeof regionBytes;

export const nodeMemoryBytes =
  baseBytes + tableSizes.reduce((sum, { slots, tables }) => sum + slots * tables * slotBytes, 0);

/** What one process counts together with the others. */
export interface NodeShare {
  /** Open downstream connections of the node. */
  readonly connections: ConnectionCount;
  /** Those of one listening address; throws an Error when the node counted too many addresses. */
  connectionsAt(address: string): ConnectionCount;
  /** Throws an Error when the node has too many. */
  counter(key: string): Counter;
  /** What is under way under a name; null when the node has no room for it. */
  inFlight(name: string): Lease<ConnectionCount> | null;
  /** Where this process says that a user's filter runs. */
  filterMark(name: string, version: string): FilterMark;
  /** Limits for so many keys, at most `limitKeysMax`; null when the node has no room for them. */
  limits(name: string, keys: number): Lease<LimitTable> | null;
  /** The same in all processes, and known to nobody outside. */
  hash(text: string): TextHash;
  /** Milliseconds of the epoch, the same in all processes: about when the node first asked. */
  startMs(epochMs: number): number;
}

export class NodeMemory {
  readonly #memory: PartedMemory;
  /** The base. */
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #cells: Int32Array;
  readonly #flights: Int32Array;
  readonly #running: Int32Array;
  readonly #listeners: KeyTable;
  readonly #counters: KeyTable;
  readonly #seed: TextHash;
  readonly #flightRooms: Rooms;
  readonly #limitRooms: readonly LimitRooms[];

  /** Zeroed, or what another process of the node uses already; `nodeMemoryBytes` in all. */
  constructor(memory: PartedMemory, random: Random) {
    this.#memory = memory;
    this.#bytes = memory.part(0, baseBytes);
    this.#cells = this.#numbers("connections");
    this.#flights = this.#numbers("flights");
    this.#running = this.#numbers("runningFilters");
    this.#seed = agreedSeed(this.#words("seed"), random);
    this.#listeners = new KeyTable(this.#words("listenerKeys"), this.#seed);
    this.#counters = new KeyTable(this.#words("counterKeys"), this.#seed);
    this.#flightRooms = this.#rooms("flightRooms", "flightNotes");
    let offset = baseBytes;
    this.#limitRooms = tableSizes.map(({ slots, tables, rooms, notes }) => {
      const made = { rooms: this.#rooms(rooms, notes), slots, offset };
      offset += slots * tables * slotBytes;
      return made;
    });
  }

  /** For the process that has this number, from 0 to `processesMax` - 1, alone. */
  share(process: number): NodeShare {
    const used = raised(this.#words("processes"), process + 1);
    const counted = new Map<string, Counter>();
    const row = (cells: Int32Array, number: number) =>
      new ConnectionCount(rowOf(cells, number), process, used);
    const flights = new Leases(this.#flightRooms, process, (room) => row(this.#flights, room));
    const tables = this.#limitRooms.map(({ rooms, slots, offset }) => {
      const bytes = slots * slotBytes;
      const open = (room: number) => new LimitTable(this.#memory.part(offset + room * bytes, bytes));
      return { slots, leases: new Leases(rooms, process, open) };
    });
    const hash = (text: string) => textHash(text, this.#seed);
    return {
      hash,
      connections: row(this.#cells, 0),
      connectionsAt: (address) => row(this.#cells, 1 + this.#listener(address)),
      counter: (key) => {
        const known = counted.get(key);
        if (known !== undefined) return known;
        const counter = this.#counter(key);
        counted.set(key, counter);
        return counter;
      },
      filterMark: (name, version) =>
        new RunningFilter(this.#running, process, filterNumber({ name, version }, this.#seed)),
      inFlight: (name) => flights.take(name, hash(name)),
      limits(name, keys) {
        const fitting = tables.find(({ slots }) => slots >= keys * slotsOfKey);
        return fitting?.leases.take(name, hash(name)) ?? null;
      },
      startMs: (epochMs) => agreed(this.#words("start"), epochMs),
    };
  }

  /** Open downstream connections of one process. */
  connectionsOf(process: number): number {
    return Atomics.load(this.#cells, process);
  }

  /**
   * Which of these users' filters one process runs, or ran last; null when none did, or another one. A process that
   * does not answer is asked for nothing here: it said so before.
   */
  filterOf<Code extends { readonly name: string; readonly version: string }>(
    process: number,
    known: readonly Code[],
  ): { readonly code: Code; readonly state: "running" | "left" } | null {
    const cell = Atomics.load(this.#running, process);
    const code = known.find((one) => filterNumber(one, this.#seed) === Math.abs(cell));
    return code === undefined ? null : { code, state: cell > 0 ? "running" : "left" };
  }

  /** The process is gone, and its connections are. */
  forget(process: number): void {
    // Not all rows: to touch what nobody uses would cost memory.
    const rows = [0, ...this.#listeners.taken().map((place) => 1 + place)];
    for (const row of rows) Atomics.store(this.#cells, row * processesMax + process, 0);
    this.#flightRooms.forget(process, (room) => {
      Atomics.store(this.#flights, room * processesMax + process, 0);
    });
    for (const { rooms } of this.#limitRooms) rooms.forget(process);
    Atomics.store(this.#running, process, 0);
  }

  #words(region: Region): BigInt64Array {
    const { buffer, byteOffset } = this.#bytes;
    return new BigInt64Array(buffer, byteOffset + offsetOf(region), regionBytes[region] / wordBytes);
  }

  #numbers(region: Region): Int32Array {
    const { buffer, byteOffset } = this.#bytes;
    return new Int32Array(buffer, byteOffset + offsetOf(region), regionBytes[region] / 4);
  }

  #rooms(words: Region, notes: Region): Rooms {
    return new Rooms(this.#words(words), this.#numbers(notes));
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

/** Tables of one size. */
interface LimitRooms {
  readonly rooms: Rooms;
  readonly slots: number;
  /** Of the first one. */
  readonly offset: number;
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

/** As many bytes in whole pages, of whatever size a system has. */
function pages(bytes: number): number {
  return Math.ceil(bytes / pageBytesMax) * pageBytesMax;
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

function rowOf(cells: Int32Array, row: number): Int32Array {
  return cells.subarray(row * processesMax, (row + 1) * processesMax);
}

/** The first process draws it, the others find it. */
function agreedSeed(words: BigInt64Array, random: Random): TextHash {
  const drawn = BigInt.asIntN(64, BigInt(`0x${random.id().slice(0, 16)}`));
  return hashOf(Atomics.compareExchange(words, 0, 0n, drawn) || drawn);
}

/** What the first process says, the others find. */
function agreed(words: BigInt64Array, value: number): number {
  return Number(Atomics.compareExchange(words, 0, 0n, BigInt(value)) || BigInt(value));
}
