/** Filters of a route as something that runs on a pair. */
import { compileChain } from "../../src/runtime/chain.ts";
import type { LiveFilter } from "../../src/runtime/live-filter.ts";
import type { Middleware } from "../../src/types.ts";
import type { App, Uses } from "./fetch/both-pairs.ts";
import { makeFilters, testParts } from "./filter-parts.ts";

export function chainApp(filters: readonly LiveFilter[]): App {
  const chain = compileChain(filters)!;
  return (request, forward) =>
    chain(request, {
      remoteAddress: "192.0.2.1",
      identity: null,
      listener: "web",
      route: "/",
      path: new URL(request.url).pathname,
      finished: () => {},
      forward,
    });
}

/** Middlewares that stand nowhere but in a test. */
export function usesApp(uses: Uses): App {
  return chainApp(
    makeFilters(
      uses.map((use, index) => [`use-${index}`, { middleware: () => use as Middleware }]),
      testParts(),
    ),
  );
}
