import { describe, expect, test } from "bun:test";
import { chainCases, sixFilters } from "../../bench/chain-cases.ts";
import { MemoryRequests } from "../../bench/memory-requests.ts";
import { type ChainRow, chain } from "../../bench/workloads/chain.ts";

const row = (of: {
  readonly case: string;
  readonly proxy: "nginx" | "clearway";
  readonly round: number;
  readonly cpuUs: number;
}): ChainRow => ({
  ...{ kind: "sockets", against: "no filter", error: null, failed: 0, requests: 1000, elapsedUs: 1e6 },
  ...of,
});

describe("the chain workload", () => {
  test("sets each list of filters beside nginx and the same requests without it, of the same round", () => {
    const rows: ChainRow[] = [1, 2, 3].flatMap((round) => [
      row({ case: "no filter", proxy: "nginx", round, cpuUs: 20_000 * round }),
      row({ case: "no filter", proxy: "clearway", round, cpuUs: 18_000 * round }),
      row({ case: sixFilters, proxy: "clearway", round, cpuUs: 38_000 * round }),
    ]);
    rows.push({
      ...{ kind: "memory", case: sixFilters, error: null },
      rounds: [{ without: 2000, within: 12_500 }],
    });
    const { tables, problems } = chain.report(rows);
    expect(problems).toEqual([]);
    const [nginx, bare, six] = tables[0]!.rows.map((cells) => cells.join(" | "));
    expect(nginx).toBe("no filter | nginx | 40.0 | - | - |  | - | - | - | - | ");
    expect(bare).toBe("no filter | clearway | 36.0 | 0.90 | 0.90..0.90 |  | - | - | - | - | ");
    expect(six).toBe(
      `${sixFilters} | clearway | 76.0 | 1.90 | 1.90..1.90 | within 2 | 40.00 | 20.00..60.00 | 10.50 | 10.50..10.50 | `,
    );
  });

  test("sets the same extra work of each proxy beside that proxy without it", () => {
    const peers = (work: string, proxy: "haproxy" | "clearway", cpuUs: number): ChainRow => ({
      ...{ kind: "peers", work, proxy, round: 1, error: null, requests: 1000, failed: 0 },
      ...{ elapsedUs: 1e6, p99Us: 900, cpuUs },
    });
    const { tables, problems } = chain.report([
      peers("no extra work", "haproxy", 15_000),
      peers("no extra work", "clearway", 15_000),
      peers("a script sets a header", "haproxy", 30_000),
      peers("a script sets a header", "clearway", 21_000),
    ]);
    expect(problems).toEqual([]);
    expect(tables.map(({ title }) => title)).toEqual(["The same extra work in each proxy, rounds: 1"]);
    expect(tables[0]!.rows.slice(2).map((cells) => cells.slice(0, 6).join(" | "))).toEqual([
      "a script sets a header | haproxy | 1,000 | 30.0 | 15.0 | 2.00",
      "a script sets a header | clearway | 1,000 | 21.0 | 6.0 | 1.40",
    ]);
  });

  test("names rows that did not do their work", () => {
    const failed = { ...row({ case: "jwt", proxy: "clearway", round: 2, cpuUs: 1 }), error: "status 401" };
    expect(chain.report([failed as ChainRow]).problems).toEqual([
      "chain: round 2, jwt, clearway: status 401",
    ]);
  });

  test("has requests that pass each of its lists of filters", async () => {
    const answers: string[] = [];
    for (const { name, filters, header, file } of await chainCases()) {
      const value = header === undefined ? [] : [`${header.name}: ${header.values[0]}`];
      const head = ["GET /small HTTP/1.1", "Host: 127.0.0.1:8080", ...value, "", ""].join("\r\n");
      const own = file === undefined ? [] : [(await import(`../../bench/${file}`)).default];
      const given = filters.replaceAll("@folder@", "/nowhere").replaceAll("./stamp.ts", "stamp");
      const requests = await MemoryRequests.start({ filters: given, own, requests: [head] });
      answers.push(`${name}: ${(await requests.answer()).split("\r\n")[0]}`);
    }
    expect(answers.filter((line) => !line.endsWith("HTTP/1.1 200 OK"))).toEqual([]);
    expect(answers.length).toBeGreaterThan(15);
  });
});
