/** The built-in filters, under the names that a config uses. */
import type { FilterDefinition } from "../plugin.ts";
import accessLog from "./access-log.ts";
import apiKey from "./api-key.ts";
import basicAuth from "./basic-auth.ts";
import headers from "./headers.ts";
import jwt from "./jwt.ts";
import requestId from "./request-id.ts";

const definitions: readonly FilterDefinition[] = [
  requestId,
  accessLog,
  headers,
  jwt,
  apiKey,
  basicAuth,
];

export const filters: ReadonlyMap<string, FilterDefinition> = new Map(
  definitions.map((definition) => [definition.name, definition]),
);
