/** Filters of a route without the rest of it: what they forward is answered by the test. */
import { type Chain, compileChain } from "../../src/runtime/chain.ts";
import type { ChainContext, ChainEnd } from "../../src/runtime/chain-end.ts";
import type { LiveFilter } from "../../src/runtime/live-filter.ts";
import type { Middleware } from "../../src/types.ts";
import type { App, Uses } from "./fetch/both-pairs.ts";
import { makeFilters, testParts } from "./filter-parts.ts";

/** What filters see in `c.env`, as far as a test says it, and who answers. */
export interface TestEnd extends Partial<Omit<ChainEnd, "forward" | "answer">> {
  forward(request: Request, context: ChainContext): Response | Promise<Response>;
}

export function passThrough(chain: Chain, request: Request, end: TestEnd): Promise<Response> {
  return new Promise((answer) => {
    let entered: ChainContext;
    chain(request, {
      ...{ remoteAddress: "192.0.2.1", identity: null, listener: "web", route: "/" },
      ...{ path: new URL(request.url).pathname, finished: () => {} },
      entered: (context) => {
        entered = context;
      },
      onAnswer: (change) => entered.onAnswer(change),
      ...end,
      answer,
      forward(sent, context) {
        const answered = end.forward(sent, context);
        if (!(answered instanceof Promise)) context.answered(answered);
        else {
          answered.then(
            (response) => context.answered(response),
            (error) => context.failed(error),
          );
        }
      },
    });
  });
}

/** As something that runs on a pair. */
export function chainApp(filters: readonly LiveFilter[]): App {
  const chain = compileChain(filters)!;
  return (request, forward) => passThrough(chain, request, { forward });
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
