/** The options that Hono's middlewares declare, against those that the filters take: none is forgotten. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { honoFilters } from "../../src/filters/hono/index.ts";
import { findFilters, inFolder } from "../found-filters.ts";
import { root } from "../program.ts";

/** Options that are functions, or expressions: YAML cannot say them. */
const unsayable = [
  ...["hashFunction", "onAuthSuccess", "verifyUser", "verifyToken", "onError", "contentTypeFilter"],
  ...["generateDigest", "convertDetectedLanguage", "generator", "skip"],
];

/** What else is declared in the same files: variables for handlers, arguments and results of other functions. */
const noOptions: Readonly<Record<string, readonly string[]>> = {
  "hono/jwt": ["jwtPayload", "keys", "jwks_uri", "allowedAlgorithms", "header", "payload"],
  "hono/language": ["language", "lang", "q"],
  "hono/request-id": ["requestId"],
  "hono/secure-headers": ["secureHeadersNonce"],
  "hono/timing": ["metric", "headers", "timers", "start"],
};

function declaredBy(module: string): string[] {
  const folder = join(root, "node_modules/hono/dist/types/middleware", module);
  const files = readdirSync(folder).filter((file) => file.endsWith(".d.ts"));
  const text = files.map((file) => readFileSync(join(folder, file), "utf8")).join("\n");
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, "");
  return [...new Set([...code.matchAll(/^ {2,4}(\w+)\??: /gm)].map(([, name]) => name!))];
}

test("the filters of Hono take every option that Hono declares, but functions", async () => {
  const { filters } = await findFilters(new Set(honoFilters.names), inFolder(""));
  const { definitions } = configJsonSchema(filters) as { definitions: Record<string, object> };
  let options = 0;
  for (const name of honoFilters.names) {
    const [module = ""] = name.replace("hono/", "").split("#");
    const declared = declaredBy(module).filter((option) => !unsayable.includes(option));
    const taken = JSON.stringify(definitions[name.replaceAll(/[/#]/g, ".")]);
    const missing = declared.filter((option) => !taken.includes(`"${option}":`));
    expect([name, missing.sort()]).toEqual([name, [...(noOptions[name] ?? [])].sort()]);
    options += declared.length - missing.length;
  }
  expect(options).toBeGreaterThan(100);
});
