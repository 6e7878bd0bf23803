import { describe, expect, test } from "bun:test";
import { testFilter } from "clearway/plugin/test";
import abTest from "./ab-test.ts";

const options = { experiment: "button", variants: { control: 50, green: 30, red: 20 } };

async function variantsOf(given: typeof options, visitors: number): Promise<string[]> {
  await using filter = testFilter(abTest, given);
  for (let visitor = 0; visitor < visitors; visitor += 1) {
    await filter.request("/", { headers: { cookie: `visitor=v${visitor}` } });
  }
  return filter.received.map(({ headers }) => headers.get("x-variant")!);
}

describe("ab-test", () => {
  test("divides visitors by the weights", async () => {
    const seen = await variantsOf(options, 2000);
    const share = (name: string) => seen.filter((one) => one === name).length / seen.length;
    expect(share("control")).toBeCloseTo(0.5, 1);
    expect(share("green")).toBeCloseTo(0.3, 1);
    expect(share("red")).toBeCloseTo(0.2, 1);
  });

  test("gives a visitor the same variant at every node", async () => {
    expect(await variantsOf(options, 200)).toEqual(await variantsOf(options, 200));
  });

  test("draws anew for another experiment", async () => {
    const one = await variantsOf(options, 400);
    const other = await variantsOf({ ...options, experiment: "price" }, 400);
    const same = one.filter((variant, visitor) => variant === other[visitor]).length / one.length;
    // By chance 0.5² + 0.3² + 0.2².
    expect(same).toBeWithin(0.28, 0.48);
  });

  test("moves few visitors when weights change", async () => {
    const before = await variantsOf(options, 400);
    const after = await variantsOf({ ...options, variants: { control: 40, green: 30, red: 30 } }, 400);
    const moved = before.filter((variant, visitor) => variant !== after[visitor]).length / before.length;
    expect(moved).toBeWithin(0.12, 0.28);
    expect(before.filter((variant, visitor) => variant === "red" && after[visitor] !== "red")).toEqual([]);
  });

  test("gives a new visitor an id that keeps the variant", async () => {
    await using filter = testFilter(abTest, { ...options, remember: "24h" });
    const first = await filter.request("/");
    const cookie = first.headers.get("set-cookie")!;
    expect(cookie).toMatch(/^visitor=[0-9a-f]{32}; Path=\/; Max-Age=86400; HttpOnly; SameSite=Lax$/);
    const second = await filter.request("/", { headers: { cookie: cookie.split(";")[0]! } });
    expect(second.headers.get("set-cookie")).toBeNull();
    expect(second.headers.get("x-variant")).toBe(first.headers.get("x-variant"));
  });

  test("tells service, caller and caches, and believes no caller", async () => {
    await using filter = testFilter(abTest, { ...options, variants: { control: 1, green: 0 } });
    const response = await filter.request("/", { headers: { "x-variant": "green", cookie: "visitor=a" } });
    expect(filter.received[0]!.headers.get("x-variant")).toBe("control");
    expect([response.headers.get("x-variant"), response.headers.get("vary")]).toEqual(["control", "cookie"]);
    expect(filter.vars).toMatchObject({ variant: "control" });
    expect(filter.counted("ab_test_requests", { experiment: "button", variant: "control" })).toBe(1);
  });

  test("lets testers choose where it says so, among the variants", async () => {
    await using filter = testFilter(abTest, {
      ...options,
      variants: { control: 1, green: 0 },
      choice: "x-try",
    });
    for (const asked of ["green", "blue", "constructor"]) {
      await filter.request("/", { headers: { "x-try": asked } });
    }
    expect(filter.received.map(({ headers }) => headers.get("x-variant"))).toEqual([
      "green",
      "control",
      "control",
    ]);
  });

  test("takes no endless id", async () => {
    await using filter = testFilter(abTest, options);
    const response = await filter.request("/", { headers: { cookie: `visitor=${"a".repeat(65)}` } });
    expect(response.headers.get("set-cookie")).toStartWith("visitor=");
  });

  test("wants variants that can be drawn and named", () => {
    for (const [variants, message] of [
      [{ a: 0 }, "wanted at least one weight above 0"],
      [{}, "wanted at least one weight above 0"],
      [{ "a b": 1 }, "wanted a name of at most 64"],
      [{ a: 0.5 }, "wanted a whole number"],
    ] as const) {
      expect(() => testFilter(abTest, { ...options, variants: variants as never })).toThrow(message);
    }
  });
});
