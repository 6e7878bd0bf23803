/** What one match costs among few and many routes, in this process, without sockets. */
import { text } from "../src/runtime/http1/characters.ts";
import { createMatcher, type Matcher } from "../src/runtime/match.ts";
import { finished } from "../src/runtime/slices.ts";
import type { RouteMatch } from "../src/snapshot.ts";
import type { RequestHead } from "../src/types.ts";

const anything: RouteMatch = { host: null, path: null, methods: [], headers: [], query: [] };

/** What tells the routes apart, and the requests that go to each; `name` is as long for few routes as for many. */
const cases = {
  "literal path": (name: string) => asked({ path: `/area/${name}/item` }, `/area/${name}/item`),
  "path with *": (name: string) => asked({ path: `/area/${name}/*` }, `/area/${name}/item`),
  "path with :param": (name: string) => asked({ path: `/area/${name}/:id/end` }, `/area/${name}/7/end`),
  host: (name: string) => asked({ host: `tenant-${name}.example`, path: "/*" }, "/item"),
} as const;

export type MatchingCase = keyof typeof cases;
export const matchingCases = Object.keys(cases) as readonly MatchingCase[];

/** The same request again and again, or one to each of so many routes in turn. */
export type MatchingOrder = "one" | "in turn";
/** Fewer than there are of many routes: what is measured is a busy part of them, not the memory of the machine. */
const inTurn = 1024;

interface Asked {
  readonly match: RouteMatch;
  readonly host: string;
  readonly path: Buffer;
}

function asked(match: Partial<RouteMatch>, path: string): Asked {
  return { match: { ...anything, ...match }, host: match.host ?? "shop.example", path: Buffer.from(path) };
}

/** Mean nanoseconds of CPU of a match. The path is made from bytes each time, as it is of a request; making it is taken off. */
export class Matching {
  readonly #matcher: Matcher<number>;
  readonly #requests: readonly Asked[];

  constructor(kind: MatchingCase, routes: number, order: MatchingOrder) {
    const all = Array.from({ length: routes }, (_, index) => cases[kind](String(index).padStart(5, "0")));
    this.#matcher = finished(createMatcher(all.map(({ match }, value) => ({ match, value }))));
    const count = order === "one" ? 1 : inTurn;
    // A step that shares no divisor with the number of routes: neighbours in time are none in memory.
    this.#requests = Array.from({ length: count }, (_, index) => all[((index + 1) * 7_919) % routes]!);
  }

  measure(matches: number): number {
    const heads = this.#requests.map(headOf);
    const emptyUs = this.#loop(matches, heads, () => 1);
    const fullUs = this.#loop(matches, heads, (head) => this.#matcher.find(head));
    return ((fullUs - emptyUs) * 1000) / matches;
  }

  /** Returns microseconds of CPU. */
  #loop(matches: number, heads: readonly Head[], find: (head: Head) => number | null): number {
    const requests = this.#requests;
    const start = process.cpuUsage();
    let at = 0;
    for (let count = 0; count < matches; count++) {
      const head = heads[at]!;
      const { path } = requests[at]!;
      head.path = text(path, 0, path.length);
      if (find(head) === null) throw new Error(`no route takes ${head.path}`);
      at = at + 1 === heads.length ? 0 : at + 1;
    }
    const { user, system } = process.cpuUsage(start);
    return user + system;
  }
}

type Head = { -readonly [Name in keyof RequestHead]: RequestHead[Name] };

function headOf({ host }: Asked): Head {
  const fields = { bytes: Buffer.alloc(0), offsets: new Int32Array(0), count: 0 };
  return { method: "GET", scheme: "http", authority: host, host, path: "", query: "", fields };
}
