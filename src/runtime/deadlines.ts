/**
 * Deadlines of connections: a timing wheel in which moving a deadline later writes one number. A connection moves
 * its deadline with every request, and almost none is ever reached, so the wheel looks again only when the slot of
 * the earliest time that was asked for comes round.
 */
import type { Clock } from "../machine.ts";

const tickMsDefault = 100;
/** A power of two. What lies further ahead than this many ticks is looked at once on the way. */
const slotCount = 1024;

export interface Deadline {
  /** `clock.now()` time at which it expires; Infinity when none is set. */
  readonly atMs: number;
  /** Expires once, at `atMs` or at most one tick after it, or two when ticks are late; a time in the past counts as now. */
  set(atMs: number): void;
  /** It does not expire until it is set again. */
  clear(): void;
  /** Takes it out of the wheel for good; setting it again has no effect. */
  remove(): void;
}

/** One deadline, or the head of a slot's ring of them. Alone, it is a ring of itself. */
class Entry implements Deadline {
  atMs = Infinity;
  /** Begin of the slot that it stands in: the wheel looks at it then. Infinity outside the wheel, -Infinity for good. */
  visitMs = Infinity;
  previous: Entry = this;
  next: Entry = this;

  constructor(
    readonly wheel: Deadlines,
    readonly expired: () => void,
  ) {}

  set(atMs: number): void {
    this.atMs = atMs;
    if (atMs < this.visitMs) this.wheel.place(this);
  }

  clear(): void {
    this.atMs = Infinity;
  }

  remove(): void {
    this.atMs = Infinity;
    this.wheel.take(this);
    this.visitMs = -Infinity;
  }

  unlink(): void {
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.previous = this;
    this.next = this;
  }

  /** Makes `entry`, which is in no ring, the last of this ring. */
  append(entry: Entry): void {
    const last = this.previous;
    entry.previous = last;
    entry.next = this;
    last.next = entry;
    this.previous = entry;
  }

  /** Moves all of `ring` but its head to the end of this ring. */
  takeOver(ring: Entry): void {
    if (ring.next === ring) return;
    const last = this.previous;
    last.next = ring.next;
    ring.next.previous = last;
    this.previous = ring.previous;
    ring.previous.next = this;
    ring.next = ring;
    ring.previous = ring;
  }
}

/** The wheel. It ticks only while a deadline stands in it, so an idle process sleeps. */
export class Deadlines {
  /** The clock's time at the last tick or touch; stale while nothing is set, so touch it when an event begins. */
  now: number;
  private readonly tickMs: number;
  private readonly slots: readonly Entry[];
  /** Entries that are being looked at; what a throwing callback left here is looked at with the next tick. */
  private readonly due: Entry;
  /** Slots before this one have been looked at. */
  private currentTick = 0;
  private count = 0;
  private tickedAtMs = 0;
  private heldUp: "yes" | "no" = "no";
  private cancelTicks: (() => void) | null = null;
  private stopped = false;

  constructor(
    private readonly clock: Clock,
    options: { readonly tickMs?: number } = {},
  ) {
    this.now = clock.now();
    this.tickMs = options.tickMs ?? tickMsDefault;
    const head = () => new Entry(this, () => {});
    this.slots = Array.from({ length: slotCount }, head);
    this.due = head();
  }

  create(expired: () => void): Deadline {
    return new Entry(this, expired);
  }

  /** Reads the clock into `now`. */
  touch(): number {
    this.now = this.clock.now();
    return this.now;
  }

  /** Nothing expires any more. */
  stop(): void {
    this.stopped = true;
    this.cancelTicks?.();
    this.cancelTicks = null;
  }

  /** For entries: puts one into the slot of its time, or into the furthest one on the way there. */
  place(entry: Entry): void {
    if (this.cancelTicks === null && !this.start()) return;
    if (entry.next === entry) this.count += 1;
    else entry.unlink();
    const wanted = Math.floor(entry.atMs / this.tickMs);
    const tick = Math.min(Math.max(wanted, this.currentTick), this.currentTick + slotCount - 1);
    entry.visitMs = tick * this.tickMs;
    this.slots[tick & (slotCount - 1)]!.append(entry);
  }

  /** For entries: takes one out. */
  take(entry: Entry): void {
    if (entry.next === entry) return;
    entry.unlink();
    entry.visitMs = Infinity;
    this.count -= 1;
  }

  private start(): boolean {
    if (this.stopped) return false;
    this.tickedAtMs = this.touch();
    this.currentTick = Math.floor(this.now / this.tickMs);
    this.heldUp = "no";
    this.cancelTicks = this.clock.every(this.tickMs, () => this.tick());
    return true;
  }

  private tick(): void {
    if (this.wasHeldUp()) return;
    const nowTick = Math.floor(this.now / this.tickMs);
    // After a pause of more than a whole turn each slot is still looked at only once.
    const lastTick = Math.min(nowTick, this.currentTick + slotCount - 1);
    for (let tick = this.currentTick; tick <= lastTick; tick += 1) {
      this.due.takeOver(this.slots[tick & (slotCount - 1)]!);
    }
    // The slot of `now` is looked at again next time: part of it lies ahead.
    this.currentTick = nowTick;
    this.expireDue(this.now);
    if (this.count === 0) {
      this.cancelTicks?.();
      this.cancelTicks = null;
    }
  }

  /**
   * Whether this process had no turn for a while, so that what it waits for may have come, unread. It is read before
   * the next tick, which judges then, however late it is itself.
   */
  private wasHeldUp(): boolean {
    const sinceMs = this.touch() - this.tickedAtMs;
    this.tickedAtMs = this.now;
    this.heldUp = this.heldUp === "no" && sinceMs >= 2 * this.tickMs ? "yes" : "no";
    return this.heldUp === "yes";
  }

  private expireDue(now: number): void {
    for (let entry = this.due.next; entry !== this.due; entry = this.due.next) {
      if (entry.atMs === Infinity) this.take(entry);
      else if (entry.atMs > now) this.place(entry);
      else {
        this.take(entry);
        entry.atMs = Infinity;
        entry.expired();
      }
    }
  }
}
