/** The built-in filters, under the names that a config uses. */
import type { FilterDefinition } from "../plugin.ts";
import accessLog from "./access-log.ts";
import apiKey from "./api-key.ts";
import basicAuth from "./basic-auth.ts";
import bodyLimit from "./body-limit.ts";
import cache from "./cache.ts";
import concurrency from "./concurrency.ts";
import extAuthz from "./ext-authz.ts";
import fault from "./fault.ts";
import headers from "./headers.ts";
import hedge from "./hedge.ts";
import hmac from "./hmac.ts";
import ipAllow from "./ip-allow.ts";
import jwt from "./jwt.ts";
import mirror from "./mirror.ts";
import policy from "./policy.ts";
import rateLimit from "./rate-limit.ts";
import requestId from "./request-id.ts";
import retry from "./retry.ts";

const definitions: readonly FilterDefinition[] = [
  requestId,
  accessLog,
  policy,
  headers,
  jwt,
  apiKey,
  basicAuth,
  hmac,
  ipAllow,
  bodyLimit,
  extAuthz,
  rateLimit,
  concurrency,
  fault,
  cache,
  mirror,
  retry,
  hedge,
];

export const filters: ReadonlyMap<string, FilterDefinition> = new Map(
  definitions.map((definition) => [definition.name, definition]),
);
