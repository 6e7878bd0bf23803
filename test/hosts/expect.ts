/** `expect` and `spyOn` for test/hosts/adapter.ts, with Bun's meaning: `toEqual` takes a property of undefined for none. */
import { AssertionError } from "node:assert";
import { inspect } from "node:util";
import { contains, equal } from "./equality.ts";

type Matcher = (got: never, ...wanted: never[]) => boolean;
type Thrown = string | RegExp | Error | (abstract new (...args: never[]) => unknown);

const lengthOf = (got: unknown) => (got as { length: number }).length;

const matchers = {
  toBe: (got: unknown, wanted: unknown) => Object.is(got, wanted),
  toEqual: (got: unknown, wanted: unknown) => equal(got, wanted),
  toMatchObject: (got: unknown, wanted: object) => contains(got, wanted),
  toBeNull: (got: unknown) => got === null,
  toBeDefined: (got: unknown) => got !== undefined,
  toBeUndefined: (got: unknown) => got === undefined,
  toBeNaN: (got: unknown) => Number.isNaN(got),
  toBeString: (got: unknown) => typeof got === "string",
  toBeEmpty: (got: unknown) => lengthOf(got) === 0,
  toBeInstanceOf: (got: unknown, wanted: abstract new () => unknown) => got instanceof wanted,
  toHaveLength: (got: unknown, wanted: number) => lengthOf(got) === wanted,
  toContain: (got: string | Iterable<unknown>, wanted: unknown) =>
    typeof got === "string" ? got.includes(wanted as string) : [...got].includes(wanted),
  toContainEqual: (got: Iterable<unknown>, wanted: unknown) => [...got].some((each) => equal(each, wanted)),
  toStartWith: (got: string, wanted: string) => got.startsWith(wanted),
  toEndWith: (got: string, wanted: string) => got.endsWith(wanted),
  toMatch: (got: string, wanted: string | RegExp) =>
    typeof wanted === "string" ? got.includes(wanted) : wanted.test(got),
  toBeLessThan: (got: number, wanted: number) => got < wanted,
  toBeLessThanOrEqual: (got: number, wanted: number) => got <= wanted,
  toBeGreaterThan: (got: number, wanted: number) => got > wanted,
  toBeGreaterThanOrEqual: (got: number, wanted: number) => got >= wanted,
  toBeWithin: (got: number, start: number, end: number) => got >= start && got < end,
  toBeCloseTo: (got: number, wanted: number, digits = 2) => Math.abs(got - wanted) < 10 ** -digits / 2,
  toHaveBeenCalledTimes: (got: { calls: number }, wanted: number) => got.calls === wanted,
  toThrow: (got: () => unknown, wanted?: Thrown) => {
    try {
      got();
    } catch (error) {
      return isThrown(error, wanted);
    }
    return false;
  },
} satisfies Record<string, Matcher>;

function isThrown(error: unknown, wanted: Thrown | undefined): boolean {
  const message = error instanceof Error ? error.message : String(error);
  if (wanted === undefined) return true;
  if (typeof wanted === "string") return message.includes(wanted);
  if (wanted instanceof RegExp) return wanted.test(message);
  if (wanted instanceof Error) return message === wanted.message;
  return error instanceof wanted;
}

type Check<Result> = Record<keyof typeof matchers, (...wanted: unknown[]) => Result>;

/** Every matcher, run by `run`. */
function checks<Result>(run: (name: string, matcher: Matcher, wanted: unknown[]) => Result): Check<Result> {
  const entries = Object.entries(matchers).map(([name, matcher]) => [
    name,
    (...wanted: unknown[]) => run(name, matcher as Matcher, wanted),
  ]);
  return Object.fromEntries(entries);
}

function judge(got: unknown, side: "is" | "is not") {
  return (name: string, matcher: Matcher, wanted: unknown[]): void => {
    if (matcher(got as never, ...(wanted as never[])) === (side === "is")) return;
    const not = side === "is" ? "" : ".not";
    const shown = [got, ...wanted].map((value) => inspect(value, { depth: 8, maxStringLength: 2000 }));
    throw new AssertionError({ message: `expect(${shown[0]})${not}.${name}(${shown.slice(1).join(", ")})` });
  };
}

/** What a promise rejected with; `toThrow` takes it for thrown. */
async function reasonOf(promise: unknown): Promise<unknown> {
  try {
    await (promise as Promise<unknown>);
  } catch (error) {
    return error;
  }
  throw new AssertionError({ message: "expected a promise that rejects" });
}

export function expect(got: unknown) {
  return {
    ...checks(judge(got, "is")),
    not: checks(judge(got, "is not")),
    resolves: checks(async (...check) => judge(await (got as Promise<unknown>), "is")(...check)),
    rejects: checks(async (name, ...check) => {
      const reason = await reasonOf(got);
      const thrown = () => {
        throw reason;
      };
      judge(name === "toThrow" ? thrown : reason, "is")(name, ...check);
    }),
  };
}

/** Counts the calls of a method from now on. */
export function spyOn<Key extends string>(owner: Record<Key, (...args: never[]) => unknown>, key: Key) {
  const spied = owner[key];
  const spy = { calls: 0 };
  owner[key] = (...args) => {
    spy.calls += 1;
    return spied.apply(owner, args);
  };
  return spy;
}
