/**
 * Hono's own middlewares, as filters: `hono/NAME` is the file NAME.ts, loaded when a config names it. A module that
 * exports several middlewares has them behind a `#`.
 */
import type { FilterDefinition } from "../../plugin.ts";
import { leftOut } from "./left-out.ts";

type Load = () => Promise<FilterDefinition>;

const only = (file: { readonly default: FilterDefinition }) => file.default;

const loads: Readonly<Record<string, Load>> = {
  "basic-auth": () => import("./basic-auth.ts").then(only),
  "bearer-auth": () => import("./bearer-auth.ts").then(only),
  "body-limit": () => import("./body-limit.ts").then(only),
  compress: () => import("./compress.ts").then(only),
  "context-storage": () => import("./context-storage.ts").then(only),
  cors: () => import("./cors.ts").then(only),
  csrf: () => import("./csrf.ts").then(only),
  etag: () => import("./etag.ts").then(only),
  jwk: () => import("./jwk.ts").then(only),
  jwt: () => import("./jwt.ts").then(only),
  language: () => import("./language.ts").then(only),
  logger: () => import("./logger.ts").then(only),
  "powered-by": () => import("./powered-by.ts").then(only),
  "pretty-json": () => import("./pretty-json.ts").then(only),
  "request-id": () => import("./request-id.ts").then(only),
  "secure-headers": () => import("./secure-headers.ts").then(only),
  timeout: () => import("./timeout.ts").then(only),
  timing: () => import("./timing.ts").then(only),
  "trailing-slash#appendTrailingSlash": () => import("./trailing-slash.ts").then(({ append }) => append),
  "trailing-slash#trimTrailingSlash": () => import("./trailing-slash.ts").then(({ trim }) => trim),
};

const prefix = "hono/";

export const honoFilters = {
  takes: (name: string): boolean => name.startsWith(prefix),
  names: Object.keys(loads).map((name) => prefix + name),
  async find(name: string) {
    const module = name.slice(prefix.length);
    if (Object.hasOwn(loads, module)) return loads[module]!();
    const several = this.names.filter((known) => known.startsWith(`${name}#`));
    if (several.length > 0) {
      return { refused: "the module exports several middlewares", hints: [`wanted ${several.join(" or ")}`] };
    }
    if (!Object.hasOwn(leftOut, module)) return null;
    const { reason, instead } = leftOut[module]!;
    return { refused: reason, hints: [instead] };
  },
};
