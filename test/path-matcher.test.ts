import { expect, test } from "bun:test";
import fc from "fast-check";
import { pathMatcher } from "../src/path-matcher.ts";
import { Candidate } from "../src/runtime/match/candidates.ts";
import { createPaths } from "../src/runtime/match/paths.ts";
import type { RequestHead } from "../src/types.ts";

test("pathMatcher takes what a route with the same path takes", () => {
  const rows: readonly (readonly [pattern: string | null, path: string, taken: boolean])[] = [
    [null, "/a", true],
    [null, "*", true],
    ["/charge", "/charge", true],
    ["/charge", "/charge/", false],
    ["/charge", "/Charge", false],
    ["/orders/*", "/orders", true],
    ["/orders/*", "/orders/", true],
    ["/orders/*", "/orders/1/2", true],
    ["/orders/*", "/ordersx", false],
    ["/*", "/", true],
    ["/*", "*", false],
    ["/users/:id", "/users/7", true],
    ["/users/:id", "/users/", false],
    ["/users/:id", "/users/7/8", false],
    ["/users/:id/orders/*", "/users/7/orders", true],
    ["/users/:id/orders/*", "/users//orders", false],
    ["/a/:b/", "/a/1/", true],
    ["/a/:b/", "/a/1", false],
  ];
  for (const [pattern, path, taken] of rows)
    expect([pattern, path, pathMatcher(pattern)(path)]).toEqual([pattern, path, taken]);
});

/** As the router sees it, with this route alone. */
function routed(pattern: string | null, path: string): boolean {
  const match = { host: null, path: pattern, methods: [], headers: [], query: [] };
  const making = createPaths([new Candidate(match, "route", 0)]);
  for (;;) {
    const step = making.next();
    if (step.done) return step.value.first({ path, method: "GET" } as RequestHead) !== null;
  }
}

test("pathMatcher agrees with the router on any path", () => {
  const segment = fc.constantFrom("a", "b", "", "ab", ":x");
  const pattern = fc
    .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([segments, star]) => `/${segments.join("/")}${star ? "/*" : ""}`);
  const path = fc
    .array(fc.constantFrom("a", "b", "", "ab", "%2F"), { minLength: 1, maxLength: 5 })
    .map((segments) => `/${segments.join("/")}`);
  fc.assert(
    fc.property(
      fc.oneof(pattern, fc.constantFrom(null, "/*", "/")),
      fc.oneof(path, fc.constant("*")),
      (one, other) => {
        expect(pathMatcher(one)(other)).toBe(routed(one, other));
      },
    ),
    { numRuns: 2000 },
  );
});
