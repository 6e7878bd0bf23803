/** A user's filter, that says when it runs: built-in ones do not pay for it. */
import type { Middleware, UpstreamFilter } from "../types.ts";
import type { FilterMark } from "./node-memory/running-filter.ts";

export function markedMiddleware(run: Middleware, mark: FilterMark): Middleware {
  const resumed = () => mark.resumed();
  return (c, next) => {
    const before = mark.enter();
    try {
      return run(c, () => next().then(resumed));
    } finally {
      mark.leave(before);
    }
  };
}

export function markedUpstream(run: UpstreamFilter, mark: FilterMark): UpstreamFilter {
  return (call, send) => {
    const before = mark.enter();
    try {
      return run(call, async (change) => {
        try {
          return await send(change);
        } finally {
          mark.resumed();
        }
      });
    } finally {
      mark.leave(before);
    }
  };
}
