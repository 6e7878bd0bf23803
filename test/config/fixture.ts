/** Filters and files for tests of the config. */
import { type LoadResult, loadConfig } from "../../src/config/load.ts";
import type { Paint } from "../../src/config/problem.ts";
import { certificates } from "../../src/host/certificates/node.ts";
import { defineFilter, duration, key, percent, service, size, z } from "../../src/plugin.ts";
import type { FilterRegistry, Middleware, UpstreamFilter } from "../../src/types.ts";
import { onlyFilters } from "../found-filters.ts";

const pass = (): Middleware => async (_c, next) => next();
const forward = (): UpstreamFilter => async (_call, send) => send();

/** One of each kind; what they do does not matter here. */
export const filters: FilterRegistry = new Map(
  [
    defineFilter({
      name: "request-id",
      summary: "Takes no options",
      options: z.strictObject({}),
      middleware: pass,
    }),
    defineFilter({
      name: "rate-limit",
      summary: "Refuses calls above a rate",
      options: z.strictObject({
        requests: z.int().min(1).describe("How many"),
        per: duration().describe("In which time"),
        key: key().default({ by: "ip" }).describe("What tells callers apart"),
        bodyMax: size().default(1024).describe("How much of a body is read"),
      }),
      middleware: pass,
    }),
    defineFilter({
      name: "token",
      summary: "Asks for a token",
      options: z.strictObject({
        secret: z.string().min(8),
        mode: z.enum(["strict", "lenient"]).default("strict"),
      }),
      middleware: pass,
    }),
    defineFilter({
      name: "mirror",
      summary: "Sends a copy",
      options: z.strictObject({ to: service(), percent: percent().optional(), budget: percent().optional() }),
      upstream: forward,
    }),
    defineFilter({
      name: "retry",
      summary: "Sends again",
      repeats: true,
      options: z.strictObject({
        attempts: z.int().min(1).max(10).default(2),
        perTry: duration().default(800),
      }),
      upstream: forward,
    }),
  ].map((filter) => [filter.name, filter]),
);

const plain = (text: string) => text;
export const noPaint: Paint = { place: plain, path: plain, message: plain, quiet: plain, mark: plain };

/** What `loadConfig` needs of the machine and the program. */
export const host = { certificates, clock: { epochMs: Date.now }, findFilters: onlyFilters(filters) };

export type Texts = Readonly<Record<string, string>>;

/** Loads `clearway.yaml` of these texts. */
export function load(texts: Texts, environment: Readonly<Record<string, string>> = {}): Promise<LoadResult> {
  return loadWith(filters, texts, environment);
}

/** The same with other filters. */
export function loadWith(
  known: FilterRegistry,
  texts: Texts,
  environment: Readonly<Record<string, string>> = {},
): Promise<LoadResult> {
  const files = filesOf(texts);
  const findFilters = onlyFilters(known);
  return loadConfig({ ...host, file: "clearway.yaml", files, findFilters, environment, version: 7 });
}

export function filesOf(texts: Texts) {
  const missing = () => Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT" });
  return {
    read: async (path: string) => {
      const text = texts[path];
      if (text === undefined) throw missing();
      return text;
    },
    list: async (directory: string) => {
      const prefix = directory === "." ? "" : `${directory}/`;
      const names = Object.keys(texts).filter((path) => path.startsWith(prefix));
      if (names.length === 0) throw missing();
      return names.map((path) => path.slice(prefix.length));
    },
  };
}

/** A config that is right, with this as the one route's own text (indented by eight). */
export function withRoute(route: string): Texts {
  return {
    "clearway.yaml": `listeners:\n  web:\n    bind: ":8080"\n    routes:\n      - ${route.trim().replaceAll("\n", "\n        ")}\nservices:\n  orders: { endpoints: ["10.0.0.1:9000"] }\n`,
  };
}
