/**
 * What a list of filters costs, in this process and over sockets in memory: the same requests in turn with and without
 * it. Reads a MemoryFilters as JSON from its input, with the path of a user's own filter where it names one; prints the
 * nanoseconds of CPU per request of each round.
 */
import { MemoryRequests } from "./memory-requests.ts";

interface Asked {
  readonly filters: string;
  readonly requests: readonly string[];
  /** A filter that `filters` names and the program has not; null where there is none. */
  readonly file: string | null;
  /** In each round, with the filters and without. */
  readonly calls: number;
  readonly rounds: number;
}

const warmCalls = 100_000;
const { filters, requests, file, calls, rounds }: Asked = await Bun.stdin.json();
const own = file === null ? [] : [(await import(file)).default];
// Many requests, for the compiler. Each begins at once: a caller that says nothing for ten seconds is closed.
const without = await MemoryRequests.start({ filters: "[]", requests });
await without.measure(warmCalls);
const within = await MemoryRequests.start({ filters, own, requests });
await within.measure(warmCalls);
const measured = [];
for (let round = 0; round < rounds; round++) measured.push(await measure());
console.log(JSON.stringify(measured));
// What a filter keeps open would keep this process.
process.exit(0);

async function measure(): Promise<{ readonly without: number; readonly within: number }> {
  return { without: await without.measure(calls), within: await within.measure(calls) };
}
