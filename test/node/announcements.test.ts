import { expect, test } from "bun:test";
import { Announcements, startFailure } from "../../src/node/announcements.ts";
import type { NodeLog } from "../../src/node/log.ts";
import type { Problem, Snapshot } from "../../src/snapshot.ts";

const problem: Problem = {
  file: "clearway.yaml",
  line: 14,
  column: 20,
  path: "drain",
  message: 'cannot read "1 sec"',
  hints: ["wanted 1s"],
  excerpt: { text: "drain: 1 sec", length: 5 },
};
const formatProblem = ({ message }: Problem) => `FORMATTED ${message}`;

function listen(reader: { readonly person: "yes" | "no" }) {
  const said: string[] = [];
  const line = (where: string) => (text: string) => void said.push(`${where}: ${text}`);
  const interactive = { out: reader.person === "yes", error: reader.person === "yes" };
  const log = { info: line("info"), error: line("error") } as unknown as NodeLog;
  const terminal = { out: line("out"), error: line("terminal"), interactive };
  return { said, announcements: new Announcements({ terminal, log, formatProblem }) };
}

function live(format: "json" | "text"): Snapshot {
  return { version: 3, log: { level: "info", format }, listeners: [] } as unknown as Snapshot;
}

test("Announcements shows a refused save in full where a person reads", () => {
  for (const [person, format] of [
    ["yes", "json"],
    ["no", "text"],
  ] as const) {
    const { said, announcements } = listen({ person });
    announcements.reloaded({ kind: "refused", problems: [problem, problem] }, "clearway.yaml", live(format));
    expect(said).toEqual([
      'terminal: FORMATTED cannot read "1 sec"\n',
      'terminal: FORMATTED cannot read "1 sec"\n',
      "terminal: clearway: clearway.yaml has 2 problems; version 3 keeps serving",
    ]);
  }
});

test("Announcements logs a line for each problem where a program reads", () => {
  const { said, announcements } = listen({ person: "no" });
  announcements.reloaded({ kind: "refused", problems: [problem] }, "clearway.yaml", live("json"));
  expect(said).toEqual([
    'error: clearway.yaml:14:20 drain: cannot read "1 sec"',
    "error: clearway.yaml has 1 problem; version 3 keeps serving",
  ]);
});

test("Announcements tells of what became live, and of the live text put back", () => {
  const { said, announcements } = listen({ person: "yes" });
  const snapshot = live("json");
  announcements.reloaded(
    { kind: "applied", snapshot, tookMs: 11.6, held: { longestMs: 3.2, totalMs: 9 } },
    "clearway.yaml",
    snapshot,
  );
  announcements.reloaded({ kind: "restored" }, "clearway.yaml", snapshot);
  expect(said).toEqual([
    "terminal: clearway: clearway.yaml is live as version 3 (12 ms; it held requests for at most 4 ms)",
    "terminal: clearway: clearway.yaml is again what version 3 serves",
  ]);
});

test("Announcements says which listener serves where, and by how many workers", () => {
  const { said, announcements } = listen({ person: "no" });
  const place = { file: "clearway.yaml", line: 3 };
  const bind = { host: "127.0.0.1", port: 41234 };
  const web = { name: "web", bind, protocol: "http", routes: [{}, {}], place };
  const shop = { name: "shop", bind: { ...bind, port: 8443 }, protocol: "https", routes: [{}], place };
  announcements.started({
    programVersion: "1.2.3",
    file: "clearway.yaml",
    snapshot: { ...live("json"), listeners: [web, shop] } as unknown as Snapshot,
    workers: 4,
    admin: { host: "::1", port: 9900 },
    tookMs: 20,
    notes: ["stopping a listener loses no waiting connection: net.ipv4.tcp_migrate_req is on"],
  });
  expect(said).toEqual([
    "out: clearway 1.2.3 serves clearway.yaml with 4 workers (started in 20 ms)",
    "out:   listener web on http://127.0.0.1:41234 (2 routes)",
    "out:   listener shop on https://127.0.0.1:8443 (1 route)",
    "out:   admin on http://[::1]:9900",
    "out:   stopping a listener loses no waiting connection: net.ipv4.tcp_migrate_req is on",
  ]);
});

test("startFailure is one line each for what no text explains, and the full layout otherwise", () => {
  const plain = { ...problem, excerpt: null };
  expect(startFailure([plain], "clearway.yaml", formatProblem)).toBe(
    'clearway: cannot read "1 sec" (drain, clearway.yaml:14)',
  );
  expect(startFailure([{ ...plain, path: "" }], "clearway.yaml", formatProblem)).toBe(
    'clearway: cannot read "1 sec"',
  );
  expect(startFailure([problem], "clearway.yaml", formatProblem)).toBe(
    'FORMATTED cannot read "1 sec"\n\nclearway: cannot start: clearway.yaml has 1 problem',
  );
});
