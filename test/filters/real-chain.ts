/** One filter as a route has it: options read, tools given, the chain folded, on the lightweight Request and Response. */
import { compileChain } from "../../src/runtime/chain.ts";
import { createFilters, type FilterParts } from "../../src/runtime/live-filter.ts";
import type { Bindings, FilterDefinition, Variables } from "../../src/types.ts";
import { passThrough } from "../runtime/chain-app.ts";
import {
  onLightPair,
  type RequestDraft,
  type ResponseDraft,
  type Wire,
} from "../runtime/fetch/both-pairs.ts";
import { type TestParts, testParts } from "../runtime/filter-parts.ts";

export interface RealChain {
  readonly parts: TestParts;
  /** What the filter handed to those further inside, at the last request that got through. */
  readonly vars: Variables;
  send(request?: RequestDraft, answer?: ResponseDraft): Promise<Wire>;
  /** How often the filter counted this: `jwt_refused`, or with labels `jwt_refused expired`. */
  counted(name: string): number;
  /** As a reload does. */
  close(): void;
}

export interface ChainSetting extends Partial<FilterParts> {
  readonly env?: Partial<Bindings>;
  readonly onError?: "fail" | "open";
}

export function realChain(
  definition: FilterDefinition,
  options: unknown,
  { env, onError = "fail", ...given }: ChainSetting = {},
): RealChain {
  const { name } = definition;
  const parts = testParts({ ...given, filters: new Map([[name, definition]]) });
  const place = { file: "clearway.yaml", line: 1 };
  const filters = createFilters([{ name, id: null, onError, options, place }], parts, "web/orders");
  const chain = compileChain(filters)!;
  let vars: Variables = {};
  return {
    parts,
    get vars() {
      return vars;
    },
    send: (request = {}, answer = {}) =>
      onLightPair(
        (seen, forward) =>
          passThrough(chain, seen, {
            ...{ remoteAddress: "203.0.113.7", route: "orders" },
            ...env,
            forward(sent, context) {
              vars = context.var;
              return forward(sent);
            },
          }),
        request,
        answer,
      ),
    counted(wanted) {
      const [metric, ...labels] = wanted.split(" ");
      return parts.counted.filter(
        (one) =>
          one.name === `clearway_filter_${metric}_total` &&
          labels.every((label) => Object.values(one.labels).includes(label)),
      ).length;
    },
    close: () => filters.forEach((filter) => void filter.close()),
  };
}

/** The value of a header of an answer, or of the forwarded request. */
export function headerOf({ headers }: { readonly headers: readonly string[] }, name: string): string | null {
  const line = headers.find((one) => one.startsWith(`${name}: `));
  return line === undefined ? null : line.slice(name.length + 2);
}
