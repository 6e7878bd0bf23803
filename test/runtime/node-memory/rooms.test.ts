import { expect, test } from "bun:test";
import fc from "fast-check";
import { Rooms } from "../../../src/runtime/node-memory/rooms.ts";
import { textHash } from "../../../src/runtime/node-memory/text-hash.ts";

const roomCount = 4;
const processes = 8;

function rooms(): Rooms {
  return new Rooms(new BigInt64Array(roomCount), new Int32Array(roomCount * processes));
}

const hash = (name: string) => textHash(name, { high: 1, low: 2 });

test("Rooms gives processes that take a name one room, and others to other names", () => {
  const all = rooms();
  expect([all.take(hash("a"), 0), all.take(hash("b"), 0), all.take(hash("a"), 1)]).toEqual([0, 1, 0]);
});

test("Rooms gives a room to another name only when the last user gave it back", () => {
  const all = rooms();
  for (const name of ["a", "b", "c", "d"]) all.take(hash(name), 0);
  all.take(hash("a"), 1);
  all.giveBack(0, 0);
  expect(all.take(hash("e"), 0)).toBeNull();
  all.giveBack(0, 1);
  expect(all.take(hash("e"), 0)).toBe(0);
});

test("Rooms keeps the room of a name that comes back before another needed it", () => {
  const all = rooms();
  all.take(hash("a"), 0);
  all.take(hash("b"), 0);
  all.giveBack(1, 0);
  expect(all.take(hash("b"), 3)).toBe(1);
});

test("Rooms gives back what a process used that is gone, once", () => {
  const all = rooms();
  const left: number[] = [];
  all.take(hash("a"), 0);
  all.take(hash("a"), 1);
  all.take(hash("b"), 1);
  all.forget(1, (room) => void left.push(room));
  all.forget(1, (room) => void left.push(room));
  all.giveBack(1, 1);
  expect(left).toEqual([0, 1]);
  expect([all.take(hash("c"), 2), all.take(hash("d"), 2)]).toEqual([1, 2]);
});

test("Rooms is as a map from names to their users, whatever processes do", () => {
  const step = fc.record({
    what: fc.constantFrom("take" as const, "give back" as const, "forget" as const),
    process: fc.integer({ min: 0, max: processes - 1 }),
    name: fc.constantFrom("a", "b", "c", "d", "e", "f"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const all = rooms();
      const held = new Map<string, Map<number, number>>();
      for (const { what, process, name } of steps) {
        const users = held.get(name) ?? new Map<number, number>();
        if (what === "take" && !users.has(process)) {
          const room = all.take(hash(name), process);
          const used = [...held.values()].filter(({ size }) => size > 0).length;
          if (users.size > 0) expect(room).toBe([...users.values()][0]!);
          else expect(room === null).toBe(used === roomCount);
          if (room !== null) held.set(name, users.set(process, room));
        }
        if (what === "give back" && users.has(process)) {
          all.giveBack(users.get(process)!, process);
          users.delete(process);
        }
        if (what === "forget") {
          all.forget(process);
          for (const each of held.values()) each.delete(process);
        }
      }
    }),
  );
});
