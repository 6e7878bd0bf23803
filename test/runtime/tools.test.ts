import { beforeAll, describe, expect, test } from "bun:test";
import type { ByteSocket, SocketOwner, Sockets } from "../../src/machine.ts";
import { z } from "../../src/plugin.ts";
import { installGlobals } from "../../src/runtime/fetch/globals.ts";
import { NativeResponse } from "../../src/runtime/fetch/natives.ts";
import { createFilters } from "../../src/runtime/live-filter.ts";
import { createTools, FilterMemory } from "../../src/runtime/tools.ts";
import type { FilterRegistry, Middleware } from "../../src/types.ts";
import { makeFilters, testParts } from "./filter-parts.ts";

beforeAll(installGlobals);

const owner = (options: unknown = {}, id = "jwt") => ({ name: "jwt", id, scope: "web", options });

describe("tools.fetch", () => {
  test("follows no redirect, uses no proxy, and can be aborted", async () => {
    const parts = testParts();
    const response = await createTools(parts, owner()).tools.fetch("https://id.example/keys", {
      method: "POST",
    });
    expect(await response.text()).toBe("outside");
    const { url, init } = parts.fetched[0]!;
    expect(url).toBe("https://id.example/keys");
    expect(init).toMatchObject({ method: "POST", redirect: "manual", proxy: false });
    expect(init.signal).toBeInstanceOf(AbortSignal);
    expect(parts.clock.waiting).toBe(0);
  });

  test("gives up after its timeout", async () => {
    const parts = testParts({
      fetch: (_, init) =>
        new Promise((_resolve, reject) =>
          init!.signal!.addEventListener("abort", () => reject(init!.signal!.reason)),
        ),
    });
    const fetching = createTools(parts, owner()).tools.fetch("https://id.example/keys");
    parts.clock.advance(10_000);
    await expect(fetching).rejects.toThrow("cannot fetch https://id.example: no answer within 10000 ms");
  });

  test("obeys the filter's own signal", async () => {
    const parts = testParts();
    const own = new AbortController();
    await createTools(parts, owner()).tools.fetch("https://id.example/", { signal: own.signal });
    own.abort();
    expect(parts.fetched[0]!.init.signal!.aborted).toBe(true);
  });

  for (const url of [
    "http://public.example/",
    "https://127.0.0.1/",
    "https://0x7f.1/",
    "https://2130706433/",
    "https://10.1.2.3/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[2002:a00:1::]/",
    "https://[2001::1]/",
    "https://localhost/",
    "https://app.localhost./",
    "https://payments/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "file:///etc/passwd",
    "/relative",
  ]) {
    test(`refuses ${url} from a request`, async () => {
      const parts = testParts();
      await expect(createTools(parts, owner()).tools.fetch(url)).rejects.toThrow(
        `cannot fetch "${url}": wanted`,
      );
      expect(parts.fetched).toEqual([]);
    });
  }

  test("takes public addresses and names", async () => {
    const { tools } = createTools(testParts(), owner());
    for (const url of [
      "https://192.0.1.1/",
      "https://172.32.0.1/",
      "https://[2606:4700::1]/",
      "https://a.example/",
    ]) {
      expect((await tools.fetch(url)).status).toBe(200);
    }
  });

  test("takes a private host that the filter's options name, and no other", async () => {
    const { tools } = createTools(testParts(), owner({ issuers: [{ jwks: "http://10.0.0.7:8080/keys" }] }));
    expect((await tools.fetch("http://10.0.0.7:8080/keys?v=2")).status).toBe(200);
    await expect(tools.fetch("http://10.0.0.8:8080/keys")).rejects.toThrow("cannot fetch");
  });

  test("takes away what tells of a coding that the host has undone", async () => {
    const headers = { "content-encoding": "gzip", "content-length": "20", "x-a": "1" };
    const parts = testParts({ fetch: async () => new NativeResponse("plain", { status: 203, headers }) });
    const response = await createTools(parts, owner()).tools.fetch("https://id.example/");
    expect([response.status, response.headers.get("content-encoding")]).toEqual([203, null]);
    expect([response.headers.get("x-a"), await response.text()]).toEqual(["1", "plain"]);
  });
});

describe("tools.keep", () => {
  test("survives a reload and ends with its last user", () => {
    const memory = new FilterMemory();
    const parts = testParts({ memory });
    const [before, after] = [createTools(parts, owner()), createTools(parts, owner())];
    const kept = before.tools.keep("keys", () => new Map());
    expect(after.tools.keep("keys", () => new Map())).toBe(kept);
    expect(after.tools.keep("keys", () => new Map())).toBe(kept);
    before.close();
    expect(after.tools.keep("keys", () => new Map())).toBe(kept);
    after.close();
    expect(memory.size).toBe(0);
  });

  test("is not shared by filters of different ids", () => {
    const parts = testParts();
    const one = createTools(parts, owner({}, "one")).tools.keep("k", () => ({}));
    expect(createTools(parts, owner({}, "two")).tools.keep("k", () => ({}))).not.toBe(one);
  });

  test("refuses more than its maximum", () => {
    const { tools } = createTools(testParts(), owner());
    for (let i = 0; i < 10_000; i++) tools.keep(String(i), () => i);
    expect(() => tools.keep("one more", () => 0)).toThrow("already keep 10000 values");
  });
});

describe("tools.shared", () => {
  test("counts over all filters of the same id", () => {
    const parts = testParts();
    const counter = createTools(parts, owner()).tools.shared("calls");
    expect(counter.add(2)).toBe(2);
    expect(createTools(parts, owner()).tools.shared("calls").add(-1)).toBe(1);
    expect(counter.value).toBe(1);
  });
});

describe("tools", () => {
  test("log says which filter speaks", () => {
    const parts = testParts();
    createTools(parts, owner()).tools.log.warn("careful", { n: 1 });
    expect(parts.logged).toEqual([{ message: "careful", fields: { filter: "jwt", n: 1 } }]);
  });

  test("metrics are counted under the filter's names", () => {
    const parts = testParts();
    const { metrics } = createTools(parts, owner()).tools;
    metrics.count("refused", { why: "expired" });
    metrics.observe("verify", 3);
    expect(parts.counted.map(({ name }) => name)).toEqual([
      "clearway_filter_refused_total",
      "clearway_filter_verify_seconds",
    ]);
    expect(() => metrics.count("No Good")).toThrow('cannot measure under "No Good"');
  });

  test("onClose runs once, and one that throws does not keep the others from it", () => {
    const parts = testParts();
    const { tools, close } = createTools(parts, owner());
    const closed: number[] = [];
    tools.onClose(() => void closed.push(1));
    tools.onClose(() => {
      throw new Error("stuck");
    });
    tools.onClose(() => void closed.push(3));
    close();
    close();
    expect(closed).toEqual([1, 3]);
    expect(parts.logged[0]!.fields.error).toContain("stuck");
  });

  test("onClose refuses more than its maximum", () => {
    const { tools } = createTools(testParts(), owner());
    for (let i = 0; i < 100; i++) tools.onClose(() => {});
    expect(() => tools.onClose(() => {})).toThrow("wanted at most 100");
  });

  test("connect gives the socket when it is open and says why when it is not", async () => {
    const owners: SocketOwner[] = [];
    const sockets = {
      connect: (_: unknown, given: SocketOwner) => void owners.push(given),
    } as unknown as Sockets;
    const { tools } = createTools(testParts({ sockets }), owner());
    const opened = tools.connect({ host: "127.0.0.1", port: 1 });
    const refused = tools.connect({ host: "127.0.0.1", port: 2 });
    const socket = { end() {} } as ByteSocket;
    owners[0]!.onOpen(socket);
    owners[1]!.onClose({ code: "ECONNREFUSED", message: "refused" });
    expect(await opened).toBe(socket);
    await expect(refused).rejects.toThrow("cannot connect to 127.0.0.1:2: refused");
  });
});

describe("createFilters", () => {
  const place = { file: "clearway.yaml", line: 14 };
  const entry = (name: string, options: unknown) => ({
    name,
    id: null,
    onError: "fail" as const,
    options,
    place,
  });

  test("reads options with the filter's own schema", () => {
    const seen: unknown[] = [];
    const schema = z.strictObject({ a: z.number().default(5) });
    const middleware = (options: unknown): Middleware => {
      seen.push(options);
      return (_, next) => next();
    };
    makeFilters([["f", { middleware }, { schema }]], testParts());
    expect(seen).toEqual([{ a: 5 }]);
  });

  test("names the place of an entry that cannot be made, and closes the others", () => {
    const closed: string[] = [];
    const good = {
      name: "good",
      summary: "",
      options: z.unknown(),
      middleware: (_: unknown, tools: { onClose(run: () => void): void }) => {
        tools.onClose(() => void closed.push("good"));
        return (_c: unknown, next: () => Promise<void>) => next();
      },
    };
    const bad = {
      name: "bad",
      summary: "",
      options: z.unknown(),
      middleware: () => {
        throw new Error("no key");
      },
    };
    const strict = { ...good, name: "strict", options: z.strictObject({ a: z.string() }) };
    const filters = new Map(Object.entries({ good, bad, strict })) as unknown as FilterRegistry;
    const make = (name: string, options: unknown) => () =>
      createFilters([entry("good", {}), entry(name, options)], testParts({ filters }), "web");
    expect(make("bad", {})).toThrow('clearway.yaml:14: cannot create the filter "bad": no key');
    expect(make("strict", { a: 1 })).toThrow('clearway.yaml:14: cannot create the filter "strict": a: ');
    expect(make("missing", {})).toThrow("wanted the name of a filter that is there");
    expect(closed).toEqual(["good", "good", "good"]);
  });
});
