/** Parts for filters in tests: everything recorded, nothing reaches outside. */

import { z } from "../../src/plugin.ts";
import { createFilters, type FilterParts, type LiveFilter } from "../../src/runtime/live-filter.ts";
import { NodeMemory } from "../../src/runtime/node-memory/index.ts";
import { privateMemory } from "../../src/runtime/node-memory/private-memory.ts";
import { FilterMemory } from "../../src/runtime/tools.ts";
import type { FilterEntry } from "../../src/snapshot.ts";
import type { FilterDefinition, LogFields, Meters } from "../../src/types.ts";
import { VirtualClock } from "../virtual-clock.ts";

export interface TestParts extends FilterParts {
  readonly clock: VirtualClock;
  readonly logged: { readonly message: string; readonly fields: LogFields }[];
  readonly durations: { readonly name: string; readonly version: string; readonly durationMs: number }[];
  readonly counted: { readonly name: string; readonly labels: Readonly<Record<string, string>> }[];
  readonly fetched: { readonly url: string; readonly init: RequestInit & { proxy?: unknown } }[];
}

export function testParts(given: Partial<FilterParts> = {}): TestParts {
  const logged: TestParts["logged"] = [];
  const durations: TestParts["durations"] = [];
  const counted: TestParts["counted"] = [];
  const fetched: TestParts["fetched"] = [];
  const write = (message: string, fields: LogFields = {}) => void logged.push({ message, fields });
  const meters: Pick<Meters, "filter" | "count" | "observe"> = {
    filter: (name, version, durationMs) => void durations.push({ name, version, durationMs }),
    count: (name, _help, labels = {}) => void counted.push({ name, labels }),
    observe: (name) => void counted.push({ name, labels: {} }),
  };
  const refuse = () => {
    throw new Error("the test gave nothing for this");
  };
  const random = { fraction: () => 0.5, id: () => "1".repeat(32) };
  return {
    logged,
    durations,
    counted,
    fetched,
    clock: new VirtualClock(),
    random,
    log: { debug: write, info: write, warn: write, error: write },
    meters: meters as Meters,
    sockets: { listen: refuse, connect: refuse },
    memory: new FilterMemory(),
    share: new NodeMemory(privateMemory(), random).share(0),
    filters: new Map(),
    open: refuse,
    call: refuse,
    fetch: (url, init = {}) => {
      fetched.push({ url, init });
      return Promise.resolve(new Response("outside"));
    },
    ...given,
  } as TestParts;
}

type Shape = Pick<FilterDefinition, "middleware" | "upstream" | "repeats">;

export interface Draft {
  readonly onError?: FilterEntry["onError"];
  readonly options?: unknown;
  readonly id?: string;
  readonly schema?: z.ZodType;
  /** Of its code. */
  readonly version?: string;
}

/** A filter made from its shape alone. */
export function makeFilter(name: string, shape: Shape, parts: FilterParts, draft: Draft = {}): LiveFilter {
  return makeFilters([[name, shape, draft]], parts)[0]!;
}

export function makeFilters(
  list: readonly (readonly [string, Shape, Draft?])[],
  parts: FilterParts,
): LiveFilter[] {
  const filters = new Map(
    list.map(([name, shape, draft]) => {
      const { schema: options = z.unknown(), version } = draft ?? {};
      const code = version === undefined ? {} : { version };
      const definition = { name, summary: "for a test", options, ...code, ...shape };
      return [name, definition as FilterDefinition] as const;
    }),
  );
  const entries = list.map(([name, , draft], i) => entry(name, i + 1, draft ?? {}));
  return createFilters(entries, { ...parts, filters }, "web/orders");
}

function entry(name: string, line: number, draft: Draft): FilterEntry {
  const { id = null, onError = "fail", options = {} } = draft;
  return { name, id, onError, options, place: { file: "clearway.yaml", line } };
}
