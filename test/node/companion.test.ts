import { describe, expect, test } from "bun:test";
import type { ProcessEnd } from "../../src/machine.ts";
import { Companion, proxyVariables } from "../../src/node/companion.ts";
import type { Snapshot } from "../../src/snapshot.ts";
import { VirtualClock } from "../virtual-clock.ts";

const snapshot = {
  listeners: [{ name: "outbound", bind: { host: "127.0.0.1", port: 4140 } }],
} as unknown as Snapshot;

function accompanied(terminal: "shared" | "none" = "none") {
  const clock = new VirtualClock();
  const signals: string[] = [];
  const ended = Promise.withResolvers<ProcessEnd>();
  const companion = new Companion(
    {
      clock,
      terminal,
      environment: {},
      variables: {},
      error() {},
      start: () => ({ pid: 7, ended: ended.promise, signal: (name) => signals.push(name) }),
    },
    ["app"],
  );
  return { clock, companion, signals, end: (end: ProcessEnd) => ended.resolve(end) };
}

describe("Companion", () => {
  test("asks the command to end, and ends one that does not", async () => {
    const { clock, companion, signals, end } = accompanied();
    companion.start(snapshot);
    const code = companion.end("SIGTERM", 10_000);
    clock.advance(9_999);
    expect(signals).toEqual(["SIGTERM"]);
    clock.advance(1);
    expect(signals).toEqual(["SIGTERM", "SIGKILL"]);
    end({ code: null, signal: "SIGKILL" });
    expect(await code).toBe(137);
  });

  test("a SIGINT of a terminal reached the command already; others are passed on", () => {
    const { companion, signals } = accompanied("shared");
    companion.start(snapshot);
    companion.signal("SIGINT");
    companion.signal("SIGHUP");
    expect(signals).toEqual(["SIGHUP"]);
  });

  test("one that was never started is no failure", async () => {
    expect(await accompanied().companion.end("SIGTERM", 1000)).toBe(0);
  });
});

describe("proxyVariables", () => {
  test("a proxy for HTTPS that the environment has stays", () => {
    const bind = { host: "127.0.0.1", port: 4140 };
    const HTTPS_PROXY = "http://proxy.example:3128";
    expect(proxyVariables(bind, { HTTPS_PROXY })).toMatchObject({
      HTTP_PROXY: "http://127.0.0.1:4140",
      ...{ HTTPS_PROXY, https_proxy: HTTPS_PROXY },
    });
  });

  test("what the environment excepts from proxies stays excepted", () => {
    const bind = { host: "::1", port: 4140 };
    expect(proxyVariables(bind, { NO_PROXY: "db.internal, localhost" })).toMatchObject({
      HTTP_PROXY: "http://[::1]:4140",
      HTTPS_PROXY: "http://[::1]:4140",
      https_proxy: "http://[::1]:4140",
      NO_PROXY: "db.internal,localhost,127.0.0.1,::1",
      no_proxy: "db.internal,localhost,127.0.0.1,::1",
      NODE_USE_ENV_PROXY: "1",
    });
  });
});
