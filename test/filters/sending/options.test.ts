/** What a config may say of the filters that decide how a request is sent: each wrong value is a problem where it stands. */
import { describe, expect, test } from "bun:test";
import { filters } from "../../../src/filters/index.ts";
import { loadWith } from "../../config/fixture.ts";

async function load(entries: readonly string[]) {
  const list = entries.map((entry) => `          - ${entry}\n`).join("");
  const text = `listeners:
  web:
    bind: ":8080"
    routes:
      - filters:
${list}        to: orders
services: { orders: { endpoints: ["10.0.0.1:9000"] }, orders-next: { endpoints: ["10.0.0.2:9000"] } }
`;
  return loadWith(filters, { "clearway.yaml": text });
}

const whens = "connect-failure, refused, reset, timeout, 5xx or a status from 300 to 599";

const wrong: Record<string, string> = {
  "retry: { attempts: 0 }": "retry.attempts: cannot read 0: wanted at least 1",
  "retry: { attempts: 11 }": "retry.attempts: cannot read 11: wanted at most 10",
  "retry: { when: [resett] }": `retry.when[0]: cannot read "resett": wanted ${whens}`,
  "retry: { when: [503, 200] }": `retry.when[1]: cannot read 200: wanted ${whens}`,
  "retry: { when: [true] }": `retry.when[0]: cannot read true: wanted ${whens}`,
  "retry: { when: [] }": "retry.when: cannot read an empty list: wanted at least 1 entry",
  "retry: { budget: 20 }": "retry.budget: cannot read 20: wanted a percentage such as 20%",
  "retry: { perTry: 800 }": "retry.perTry: cannot read 800: wanted a duration such as 250ms, 2s or 1m",
  "retry: { atempts: 3 }": 'retry.atempts: unknown key "atempts"',
  "mirror: { percent: 10 }": "mirror.to: cannot find `to` here: wanted the name of a service",
  "mirror: { to: orders-nxt }": 'mirror.to: unknown service "orders-nxt"',
  "mirror: { to: orders-next, percent: 101 }": "mirror.percent: cannot read 101: wanted at most 100",
  "mirror: { to: orders-next, host: 'a/b' }":
    'mirror.host: cannot read "a/b": wanted a host, with or without a port',
  fault: "fault: cannot read an empty map: wanted delay, abort or both",
  "fault: { abort: { status: 200 } }": "fault.abort.status: cannot read 200: wanted at least 400",
  "fault: { delay: { percent: 5 } }":
    "fault.delay.for: cannot find `for` here: wanted a duration such as 250ms, 2s or 1m",
  "hedge: { after: soon }": 'hedge.after: cannot read "soon": wanted a duration such as 250ms, 2s or 1m',
  "hedge: { attempts: 1 }": "hedge.attempts: cannot read 1: wanted at least 2",
};

describe("filters that send", () => {
  for (const [entry, problem] of Object.entries(wrong)) {
    test(`${entry} is a problem at its line`, async () => {
      const { problems } = await load(["request-id", entry]);
      const shown = problems.map(({ line, path, message }) => `${line} ${String(path)}: ${message}`);
      expect(shown).toEqual([`7 listeners.web.routes[0].filters[1].${problem}`]);
    });
  }

  test("take what is right, in their order", async () => {
    const { problems } = await load([
      "fault: { delay: { for: 2s, percent: 10 }, abort: { status: 503, percent: 0.5 }, header: x-chaos }",
      "mirror: { to: orders-next, percent: 10 }",
      "hedge",
      "retry: { attempts: 3, when: [connect-failure, refused, 502, 503, 504], budget: 20%, backoff: 25ms, perTry: 800ms }",
    ]);
    expect(problems).toEqual([]);
  });

  test("say which two lines to swap", async () => {
    for (const entries of [
      ["retry", "mirror: { to: orders-next }"],
      ["hedge", "fault: { abort: { status: 503 } }"],
      ["mirror: { to: orders-next }", "request-id"],
    ]) {
      const { problems } = await load(entries);
      expect(problems).toHaveLength(1);
      expect(problems[0]!.hints[0]).toBe("swap these two:");
    }
  });
});
