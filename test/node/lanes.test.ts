import { expect, test } from "bun:test";
import { Lanes } from "../../src/node/lanes.ts";

function work() {
  const begun: number[] = [];
  const ends = new Map<number, { resolve(): void; reject(error: Error): void }>();
  return {
    begun,
    end: (number: number) => ends.get(number)!.resolve(),
    fail: (number: number) => ends.get(number)!.reject(new Error(`${number} failed`)),
    begin: (number: number) => () => {
      begun.push(number);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      ends.set(number, { resolve, reject });
      return promise.then(() => number);
    },
  };
}

test("Lanes runs so many at once, and the others in their order", async () => {
  const lanes = new Lanes(2);
  const { begun, begin, end } = work();
  const results = [1, 2, 3, 4].map((number) => lanes.run(begin(number)));
  await Promise.resolve();
  expect(begun).toEqual([1, 2]);
  end(2);
  expect(await results[1]).toBe(2);
  await Promise.resolve();
  expect(begun).toEqual([1, 2, 3]);
  for (const number of [1, 3]) end(number);
  await Promise.all([results[0], results[2]]);
  end(4);
  expect(await results[3]).toBe(4);
});

test("Lanes goes on after work that failed, whoever waited", async () => {
  const lanes = new Lanes(1);
  const { begin, fail, end } = work();
  const [first, second] = [lanes.run(begin(1)), lanes.run(begin(2))];
  fail(1);
  expect(await first.catch(({ message }: Error) => message)).toBe("1 failed");
  await Promise.resolve();
  end(2);
  expect(await second).toBe(2);
  const third = lanes.run(begin(3));
  end(3);
  expect(await third).toBe(3);
});
