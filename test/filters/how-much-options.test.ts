/** What a config may say of the filters that decide how much: each wrong value is a problem where it stands. */
import { expect, test } from "bun:test";
import { filters } from "../../src/filters/index.ts";
import { loadWith } from "../config/fixture.ts";

function configOf(entry: string): string {
  return `listeners:
  web:
    bind: ":8080"
    routes:
      - filters:
          - ${entry}
        to: orders
services: { orders: { endpoints: ["10.0.0.1:9000"] } }
`;
}

/** `line:column path: message`, the path from the filter's name on. */
async function problemsOf(entry: string): Promise<string[]> {
  const { problems } = await loadWith(filters, { "clearway.yaml": configOf(entry) });
  return problems.map(({ line, column, path, message }) => {
    const inside = String(path).replace("listeners.web.routes[0].filters[0].", "");
    return `${line}:${column} ${inside}: ${message}`;
  });
}

const right = [
  "rate-limit: { requests: 100, per: 1s }",
  "rate-limit: { requests: 100, per: 1s, burst: 50, key: 'claim:sub', keys: 500000, headers: false, mode: audit }",
  "rate-limit: { requests: 100, per: 1s, store: 'rediss://:pw@redis.example/1', storeTimeout: 50ms }",
  "concurrency: { limit: 100 }",
  "concurrency: { adaptive: {} }",
  "concurrency: { adaptive: { min: 5, max: 5, initial: 5 } }",
];

/** Entries, and how each of their problems begins. */
const wrong: Record<string, readonly string[]> = {
  "rate-limit": ["6:13 rate-limit.requests", "6:13 rate-limit.per"],
  "rate-limit: { requests: 0, per: 1s }": ["6:37 rate-limit.requests: cannot read 0: wanted at least 1"],
  "rate-limit: { requests: 1.5, per: 1s }": ["6:37 rate-limit.requests"],
  "rate-limit: { requests: 10, per: 1 }": [
    "6:46 rate-limit.per: cannot read 1: wanted a duration such as 250ms, 2s or 1m",
  ],
  "rate-limit: { requests: 10, per: 1s, burst: 0 }": ["6:57 rate-limit.burst"],
  "rate-limit: { requests: 10, per: 1s, key: user }": [
    '6:55 rate-limit.key: cannot read "user": wanted ip, route, identity, header:NAME, cookie:NAME, query:NAME or claim:NAME',
  ],
  "rate-limit: { requests: 10, per: 1s, key: 'header:a b' }": ["6:55 rate-limit.key"],
  "rate-limit: { requests: 10, per: 1s, keys: 500001 }": ["6:56 rate-limit.keys"],
  "rate-limit: { requests: 10, per: 1s, store: 'http://redis' }": [
    '6:57 rate-limit.store: cannot read "http://redis": wanted redis://USER:PASSWORD@HOST:PORT/DATABASE',
  ],
  "rate-limit: { requests: 10, per: 1s, storeTimeout: 1m }": ["6:64 rate-limit.storeTimeout"],
  "rate-limit: { requests: 10, per: 1s, headers: 1 }": ["6:59 rate-limit.headers"],
  "rate-limit: { requests: 10, per: 1s, mode: shadow }": ["6:56 rate-limit.mode"],
  concurrency: ["6:13 concurrency: cannot read an empty map: wanted one of limit and adaptive"],
  "concurrency: { limit: 1, adaptive: {} }": ["6:26 concurrency: "],
  "concurrency: { limit: 0 }": ["6:35 concurrency.limit: cannot read 0: wanted at least 1"],
  "concurrency: { adaptive: { min: 5, max: 4 } }": [
    "6:45 concurrency.adaptive.min: cannot read 5: wanted at most max, 4",
  ],
  "concurrency: { adaptive: { initial: many } }": ["6:49 concurrency.adaptive.initial"],
  "rate-limit: { requests: 10, per: 1s, bursts: 5 }": ["6:50 rate-limit.bursts: unknown"],
};

test.each(right)("%s is right", async (entry) => {
  expect(await problemsOf(entry)).toEqual([]);
});

test.each(Object.entries(wrong))("%s is a problem where it is wrong", async (entry, beginnings) => {
  const problems = await problemsOf(entry);
  expect(problems.length).toBe(beginnings.length);
  for (const [index, beginning] of beginnings.entries()) expect(problems[index]).toStartWith(beginning);
});

test("the URL of a store is shown nowhere", async () => {
  const entry = "rate-limit: { requests: 1, per: 1s, store: 'redis://:se-cret@redis.example' }";
  const { snapshot, resolved } = await loadWith(filters, { "clearway.yaml": configOf(entry) });
  expect(snapshot).not.toBeNull();
  expect(JSON.stringify(resolved)).toContain("(secret)");
  expect(JSON.stringify(resolved)).not.toContain("se-cret");
});
