/** What a config may say of the cache: each wrong value is a problem where it stands. */
import { describe, expect, test } from "bun:test";
import { filters } from "../../../src/filters/index.ts";
import { loadWith } from "../../config/fixture.ts";

async function problemsOf(entries: readonly string[]): Promise<readonly string[]> {
  const list = entries.map((entry) => `          - ${entry}\n`).join("");
  const text = `listeners:
  web:
    bind: ":8080"
    routes:
      - filters:
${list}        to: orders
services: { orders: { endpoints: ["10.0.0.1:9000"] } }
`;
  const { problems } = await loadWith(filters, { "clearway.yaml": text });
  return problems.map(({ line, path, message }) => `${line} ${String(path)}: ${message}`);
}

const size = "wanted a size such as 512B, 64KiB or 1MiB";
const duration = "wanted a duration such as 250ms, 2s or 1m";
const header = 'cannot use "a b" as the name of a header: wanted letters, digits and hyphens';
const wrong: Record<string, string> = {
  "{ memory: 64 }": `memory: cannot read 64: ${size}`,
  "{ memory: 512KiB }": 'memory: cannot read "512KiB": wanted a size from 1MiB to 1GiB',
  "{ bodyMax: 5MiB }": 'bodyMax: cannot read "5MiB": wanted a size from 1B to 4MiB',
  "{ bodyMax: 0B }": 'bodyMax: cannot read "0B": wanted a size from 1B to 4MiB',
  "{ memory: 2MiB, bodyMax: 1MiB }": 'bodyMax: cannot read "1MiB": wanted at most a quarter of the memory',
  "{ ttl: 60 }": `ttl: cannot read 60: ${duration}`,
  "{ staleWhileRevalidate: yes }": `staleWhileRevalidate: cannot read "yes": ${duration}`,
  "{ staleIfError: -1s }": `staleIfError: cannot read "-1s": ${duration}`,
  "{ wait: 2m }": 'wait: cannot read "2m": wanted a duration from 1ms to 1m',
  "{ setCookie: keep }": 'setCookie: cannot read "keep": wanted pass or store',
  "{ targets: [a b] }": `targets[0]: ${header}`,
  "{ status: maybe }": 'status: cannot read "maybe": wanted true or false',
  "{ tll: 1s }": 'tll: unknown key "tll"',
};

describe("cache, options", () => {
  for (const [options, problem] of Object.entries(wrong)) {
    test(`${options} is a problem at its line`, async () => {
      expect(await problemsOf(["request-id", `cache: ${options}`])).toEqual([
        `7 listeners.web.routes[0].filters[1].cache.${problem}`,
      ]);
    });
  }

  test("takes what is right, before what repeats", async () => {
    const all =
      "cache: { memory: 128MiB, bodyMax: 2MiB, ttl: 1m, staleWhileRevalidate: 30s, staleIfError: 1h, wait: 1s, setCookie: store, targets: [CDN-Cache-Control], status: false }";
    expect(await problemsOf(["cache"])).toEqual([]);
    expect(await problemsOf(["access-log", all, "retry"])).toEqual([]);
    expect((await problemsOf(["retry", "cache"])).length).toBe(1);
    expect((await problemsOf(["cache", "access-log"])).length).toBe(1);
  });
});
