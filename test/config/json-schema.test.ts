import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { honoFilters } from "../../src/filters/hono/index.ts";
import { defineFilter, z } from "../../src/plugin.ts";
import { findFilters, inFolder } from "../found-filters.ts";
import { filters } from "./fixture.ts";

interface Schema {
  readonly [key: string]: unknown;
  readonly type?: string | string[];
  readonly properties?: Record<string, Schema>;
  readonly additionalProperties?: Schema | false;
  readonly propertyNames?: Schema;
  readonly required?: string[];
  readonly items?: Schema;
  readonly enum?: unknown[];
  readonly anyOf?: Schema[];
  readonly oneOf?: Schema[];
  readonly definitions?: Record<string, Schema>;
}

const root = configJsonSchema(filters) as Schema;

/** As much of a draft-7 validator as an editor needs to underline something: the paths that are wrong. */
function faults(schema: Schema, value: unknown, path = ""): string[] {
  if (typeof schema.$ref === "string") {
    return faults(root.definitions![schema.$ref.replace("#/definitions/", "")]!, value, path);
  }
  for (const [choices, most] of [
    [schema.anyOf, Number.POSITIVE_INFINITY],
    [schema.oneOf, 1],
  ] as const) {
    const fitting = choices?.filter((choice) => faults(choice, value, path).length === 0).length ?? 1;
    if (fitting === 0 || fitting > most) return [path];
  }
  const wrong =
    [schema.type ?? []].flat().length > 0 && ![schema.type].flat().includes(typeOf(value, schema));
  if (wrong || (schema.enum !== undefined && !schema.enum.includes(value))) return [path];
  if (schema.const !== undefined && schema.const !== value) return [path];
  if (typeof value === "string" && typeof schema.pattern === "string") {
    return new RegExp(schema.pattern, "u").test(value) ? [] : [path];
  }
  if (typeof value === "number") {
    const { minimum = -Infinity, maximum = Infinity } = schema as { minimum?: number; maximum?: number };
    return value < minimum || value > maximum ? [path] : [];
  }
  if (Array.isArray(value))
    return value.flatMap((item, index) => faults(schema.items ?? {}, item, `${path}[${index}]`));
  return typeof value === "object" && value !== null ? objectFaults(schema, value, path) : [];
}

function objectFaults(schema: Schema, value: object, path: string): string[] {
  const missing = (schema.required ?? []).filter((name) => !(name in value)).map((name) => `${path}.${name}`);
  return missing.concat(
    Object.entries(value).flatMap(([name, item]) => {
      const field = schema.properties?.[name] ?? schema.additionalProperties ?? {};
      if (field === false || faults(schema.propertyNames ?? {}, name).length > 0) return [`${path}.${name}`];
      return faults(field, item, `${path}.${name}`);
    }),
  );
}

function typeOf(value: unknown, { type }: Schema): string {
  if (Array.isArray(value)) return "array";
  if (value === null) return "null";
  return Number.isInteger(value) && [type].flat().includes("integer") ? "integer" : typeof value;
}

const example = `
admin: 127.0.0.1:9900
drain: 30s
limits: { headerBytes: 60KiB }
paths: { dotSegments: reject, merge: false, escapedSlash: keep }
listeners:
  web:
    bind: 0.0.0.0:8080
    protocol: http
    trustedHops: 0
    filters: [request-id]
    routes:
      - match: { host: shop.example, path: /api/orders/*, method: [GET, POST], headers: { x-beta: "1" } }
        filters:
          - rate-limit: { requests: 100, per: 1s, key: "claim:sub" }
          - mirror: { to: orders-next, percent: 10 }
          - retry: { attempts: 3, perTry: 800ms }
            onError: open
        timeout: 2s
        to: { orders: 90, orders-canary: 10 }
      - match: { path: /old/* }
        redirect: { path: /new/*, status: 308 }
      - match: { path: /healthz }
        respond: { status: 200, body: ok }
services:
  orders:
    endpoints: [10.0.0.1:9000, { address: 10.0.0.2:9000, weight: 2, zone: b }]
    loadBalancing: least-latency
    limits: { connections: 1024, pending: 1024, requests: 1024 }
    healthCheck: { path: /healthz, host: orders.example, interval: 5s, timeout: 1s, healthy: 2, unhealthy: 3 }
    timeouts: { connect: 1s, idle: 55s }
  accounts: { dns: accounts.internal:9000 }
  products: { dns: { name: _http._tcp.products.internal, refreshMin: 2s, refreshMax: 1m } }
resolver: { servers: [127.0.0.1:5353, 10.0.0.2], timeout: 500ms }
log: { level: info, format: json }
include: [conf.d/*.yaml]
`;

test("configJsonSchema takes a config that uses the whole grammar", () => {
  expect(faults(root, parse(example))).toEqual([]);
});

test("configJsonSchema underlines typing mistakes, wrong kinds, units and bounds", () => {
  const wrong = example
    .replace("drain: 30s", "drain: 30 sec")
    .replace("trustedHops: 0", "trustedHops: 99")
    .replace("dotSegments: reject", "dotSegment: reject")
    .replace("timeout: 2s", "timeout: 2")
    .replace("percent: 10", "percnt: 10")
    .replace("level: info", "level: loud");
  expect(faults(root, parse(wrong))).toEqual([
    ".drain",
    ".paths.dotSegment",
    ".listeners.web.trustedHops",
    ".listeners.web.routes[0].filters[1]",
    ".listeners.web.routes[0].timeout",
    ".log.level",
  ]);
});

test("configJsonSchema takes references to the environment in every kind of value", () => {
  const text = `drain: "\${A}"\nlog: { level: "\${B:-info}" }\nlisteners: { web: { bind: "\${C}", trustedHops: "\${D}" } }\n`;
  expect(faults(root, parse(text))).toEqual([]);
});

test("configJsonSchema takes every golden case that loadConfig takes", () => {
  const folder = join(import.meta.dir, "cases");
  const right = readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .filter((text) => text.includes("==== resolved"));
  expect(right.length).toBeGreaterThan(4);
  for (const text of right) {
    expect(faults(root, parse(text.split("==== ")[0]!, { merge: true }))).toEqual([]);
  }
});

test("configJsonSchema offers downstream filters on listeners and all on routes, by name where no option is needed", () => {
  const choices = (name: string) => root.definitions![name]!.oneOf!;
  const maps = (name: string) => choices(name).flatMap(({ required }) => required ?? []);
  expect(choices("listenerFilter")[0]).toEqual({ enum: ["request-id"] });
  expect(choices("routeFilter")[0]).toEqual({ enum: ["request-id", "retry"] });
  expect(maps("listenerFilter")).toEqual(["request-id", "rate-limit", "token"]);
  expect(maps("routeFilter")).toEqual(["request-id", "rate-limit", "token", "mirror", "retry"]);
});

test("configJsonSchema describes every key of the grammar, and writes defaults as a config does", () => {
  const undescribed: string[] = [];
  const visit = (schema: Schema, path: string): void => {
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      if (typeof field.description !== "string") undescribed.push(`${path}.${name}`);
      visit(field, `${path}.${name}`);
    }
    for (const inner of [schema.items, schema.additionalProperties, ...(schema.anyOf ?? [])]) {
      if (inner) visit(inner, `${path}[]`);
    }
  };
  visit(root, "");
  expect(undescribed).toEqual([]);
  expect(root.properties).toMatchObject({ admin: { default: "127.0.0.1:9900" }, drain: { default: "30s" } });
  expect(root.definitions!["rate-limit"]!.properties).toMatchObject({
    key: { default: "ip" },
    bodyMax: { default: "1KiB" },
  });
});

test("configJsonSchema keeps what a filter's schema defines by itself apart from others", () => {
  const node = z.strictObject({
    get next() {
      return node.optional();
    },
  });
  const tree = defineFilter({
    name: "tree",
    summary: "Goes deep",
    options: node,
    middleware: () => async (_c, next) => next(),
  });
  const text = JSON.stringify(configJsonSchema(new Map([["tree", tree]])));
  for (const [, name] of text.matchAll(/"#\/definitions\/([^"]*)"/g)) {
    expect(JSON.parse(text).definitions[name!]).toBeDefined();
  }
});

test("configJsonSchema leaves out what only this project reads", () => {
  expect(JSON.stringify(root)).not.toContain('"mark"');
  expect(root.$schema).toBe("http://json-schema.org/draft-07/schema#");
});

test("configJsonSchema offers filters that are found by name, and takes those of packages and files", async () => {
  const { filters: found } = await findFilters(new Set(honoFilters.names), inFolder(""));
  const schema = configJsonSchema(found) as Schema;
  const texts = JSON.stringify(schema);
  for (const name of honoFilters.names) expect(texts).toContain(`"required":[${JSON.stringify(name)}]`);
  for (const [, reference] of texts.matchAll(/"#\/definitions\/([^"]*)"/g)) {
    expect(reference).toMatch(/^[\w.-]+$/);
    expect(schema.definitions![reference!]).toBeDefined();
  }
  const [bare] = schema.definitions!.routeFilter!.oneOf!;
  expect(bare?.enum).toContain("hono/cors");
  expect(bare?.enum).not.toContain("hono/basic-auth");
  expect(schema.definitions!.routeFilter!.oneOf).toContainEqual({
    type: "string",
    pattern: "^(npm:|\\.{0,2}/)",
  });
});
