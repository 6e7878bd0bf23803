import { expect, test } from "bun:test";
import { defineFilter, duration, key, service, z } from "../src/plugin.ts";
import type { FilterDefinition } from "../src/types.ts";

const source = { name: "stamp", summary: "Adds a header", options: z.strictObject({}) };
const middleware = () => async (_c: unknown, next: () => Promise<void>) => next();
const upstream = () => async (_call: unknown, send: () => Promise<Response>) => send();
/** What a plugin in plain JavaScript can do. */
const define = defineFilter as unknown as (source: object) => FilterDefinition;

test("defineFilter returns the definition itself", () => {
  const definition = { ...source, middleware };
  expect(define(definition) === (definition as unknown)).toBe(true);
});

test("defineFilter gives both shapes the types of their options", () => {
  const options = z.strictObject({ per: duration(), to: service(), key: key().optional() });
  const around = defineFilter({
    ...source,
    options,
    middleware: ({ per, to, key }) => {
      const text: string = `${per.toFixed()}${to.trim()}${key?.by ?? ""}`;
      return async (c, next) => {
        await next();
        c.header("x", text);
      };
    },
  });
  const within = defineFilter({
    ...source,
    options,
    repeats: true,
    upstream: ({ to }) => {
      const name: string = to;
      return async (call, send) => send({ service: name, timeoutMs: call.attempt });
    },
  });
  expect([around.middleware === undefined, within.upstream === undefined]).toEqual([false, false]);
});

test("defineFilter refuses both shapes, and neither", () => {
  expect(() => define({ ...source, middleware, upstream })).toThrow(
    'cannot define the filter "stamp": wanted exactly one of middleware and upstream, found both',
  );
  expect(() => define(source)).toThrow("found neither");
});

test("defineFilter refuses a downstream filter that repeats", () => {
  expect(() => define({ ...source, middleware, repeats: true })).toThrow(
    "only an upstream filter can repeat",
  );
});

test("defineFilter refuses names that YAML could not say", () => {
  for (const name of ["", "Stamp", "a b", "a_b", "-a", "./a", "id:"]) {
    expect(() => define({ ...source, middleware, name })).toThrow("wanted a name such as rate-limit");
  }
});

test("key reads every kind of key", () => {
  const read = (text: string) => key().parse(text);
  expect(["ip", "route", "identity"].map(read)).toEqual([{ by: "ip" }, { by: "route" }, { by: "identity" }]);
  expect(["header:X-Tenant", "cookie:Session", "query:q", "claim:sub"].map(read)).toEqual([
    { by: "header", name: "x-tenant" },
    { by: "cookie", name: "Session" },
    { by: "query", name: "q" },
    { by: "claim", name: "sub" },
  ]);
});

test("key keeps what stands behind the first colon", () => {
  expect(key().parse("claim:https://id.example/tenant")).toEqual({
    by: "claim",
    name: "https://id.example/tenant",
  });
});

test("key refuses everything else", () => {
  for (const text of ["", "IP", "ips", "header", "header:", "header: x", "body:x", "cookie:a b", 5]) {
    expect(key().safeParse(text).success).toBe(false);
  }
});

test("service wants a name", () => {
  expect(service().parse("orders")).toBe("orders");
  for (const value of ["", 5, null]) {
    expect(service().safeParse(value).error?.issues[0]?.message).toBe("wanted the name of a service");
  }
});
