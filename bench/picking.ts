/**
 * What one pick of an endpoint costs in one process without sockets: nanoseconds, median of nine rounds (lowest and
 * highest beside it). `bun bench/picking.ts [picks per round]`. Ring-hash is asked for a thousand keys of 32 characters.
 */
import { EndpointLoad } from "../src/runtime/balance/load.ts";
import { type Member, Selector } from "../src/runtime/balance/selection.ts";
import { Standing } from "../src/runtime/balance/standing.ts";
import type { LoadBalancing } from "../src/snapshot.ts";
import { median } from "./statistics.ts";
import { figure, textTable } from "./table.ts";

const rounds = 9;
const picks = Number(process.argv[2] ?? 1_000_000);
const counts = [3, 10, 1_000];

const policies: readonly LoadBalancing[] = [
  { policy: "least-latency" },
  { policy: "round-robin" },
  { policy: "least-request" },
  { policy: "random" },
  { policy: "ring-hash", key: { by: "cookie", name: "session" } },
];

const nothing = () => {};
const clock = { now: () => 5, epochMs: () => 0, after: () => nothing, every: () => nothing };
const random = { fraction: Math.random, id: () => "" };
const keys = Array.from({ length: 1_000 }, (_, index) => `0123456789abcdef0123456789ab${1_000 + index}`);

function nanosecondsOf(loadBalancing: LoadBalancing, count: number): number[] {
  const members = Array.from({ length: count }, (_, index): Member => {
    const name = `10.0.${index >> 8}.${index & 255}:8080`;
    return { name, zone: null, load: new EndpointLoad(1, clock), standing: new Standing() };
  });
  const config = { loadBalancing, slowStartMs: 0, panicShare: 0.5 };
  const { balancer } = new Selector<Member>(config, null, { clock, random }).select(members);
  const tried: Member[] = [];
  let key = "";
  const request = { keyValue: () => key };
  return Array.from({ length: rounds }, () => {
    const startMs = performance.now();
    for (let pick = 0; pick < picks; pick++) {
      key = keys[pick % keys.length]!;
      balancer.pick(tried, request);
    }
    return ((performance.now() - startMs) * 1e6) / picks;
  });
}

// One process for each would be fairer to the first than to the last: all are run once before any counts.
for (const policy of policies) nanosecondsOf(policy, 10);
const rows = policies.map((policy) => [
  policy.policy,
  ...counts.map((count) => {
    const times = nanosecondsOf(policy, count);
    return `${figure(median(times))} (${figure(Math.min(...times))}..${figure(Math.max(...times))})`;
  }),
]);
const columns = ["policy", ...counts.map((count) => `${count.toLocaleString("en")} endpoints`)];
console.log(textTable({ title: `Nanoseconds for a pick, rounds: ${rounds}`, columns, rows, notes: [] }));
