/**
 * Downstream. Tells the service which variant of an experiment a visitor is to see. A visitor is an id in a cookie, and
 * the variant is drawn by a hash of the experiment's name and that id: so it is the same at every node and after every
 * restart, and who sees what in one experiment says nothing about another that has the same cookie.
 *
 * The answer names the variant too, for scripts and logs, and tells caches that it depends on the cookie.
 */
import { defineFilter, duration, type Middleware, z } from "clearway/plugin";

const dayMs = 24 * 3_600_000;
const name = /^[A-Za-z0-9_-]{1,64}$/;
const nameWanted = "wanted a name of at most 64 letters, digits, dashes and underscores";
/** Of an id that somebody sends: it is hashed, and goes nowhere. */
const ID_CHARACTERS_MAX = 64;

const variants = z.record(z.string(), z.int().min(0).max(1_000_000)).superRefine((weights, context) => {
  const fault = (message: string, path: string[] = []) => context.addIssue({ code: "custom", message, path });
  for (const variant of Object.keys(weights)) if (!name.test(variant)) fault(nameWanted, [variant]);
  if (Object.values(weights).every((weight) => weight === 0)) fault("wanted at least one weight above 0");
});

const options = z.strictObject({
  experiment: z.string(nameWanted).regex(name, nameWanted).describe("its name; another name draws anew"),
  variants: variants.describe(
    "the variants and their weights; changing a weight moves as few visitors as it can",
  ),
  header: z
    .string()
    .min(1)
    .default("x-variant")
    .describe("header that names the variant, to service and caller"),
  cookie: z
    .string(nameWanted)
    .regex(name, nameWanted)
    .default("visitor")
    .describe("cookie that holds the visitor's id"),
  remember: duration({ maxMs: 365 * dayMs })
    .default(90 * dayMs)
    .describe("how long a browser keeps the cookie"),
  choice: z
    .string()
    .min(1)
    .optional()
    .describe("header by which testers choose a variant; without it nobody can"),
});

type Context = Parameters<Middleware>[0];

export default defineFilter({
  name: "ab-test",
  summary: "Tells the service which variant of an experiment a visitor is to see",
  options,
  middleware: ({ experiment, variants, header, cookie, remember, choice }, { random, metrics }) => {
    const draw = drawer(Object.entries(variants));
    const chosen = (c: Context) => {
      const asked = choice === undefined ? null : c.req.raw.headers.get(choice);
      return asked !== null && Object.hasOwn(variants, asked) ? asked : null;
    };
    return async (c, next) => {
      const known = readCookie(c.req.raw.headers.get("cookie"), cookie);
      const visitor = known ?? random.id();
      const variant = chosen(c) ?? draw(hash(`${experiment}:${visitor}`));
      metrics.count("ab_test_requests", { experiment, variant });
      c.req.raw.headers.set(header, variant);
      c.set("variant", variant);
      await next();
      c.header(header, variant);
      c.header("vary", "cookie", { append: true });
      if (known !== null) return;
      const secure = c.req.raw.url.startsWith("https:") ? "; Secure" : "";
      const rest = `Path=/; Max-Age=${Math.floor(remember / 1000)}; HttpOnly; SameSite=Lax${secure}`;
      c.header("set-cookie", `${cookie}=${visitor}; ${rest}`, { append: true });
    };
  },
});

/** From a fraction of 1 to a variant, each with its part of the way from 0 to 1. */
function drawer(weights: readonly (readonly [string, number])[]): (fraction: number) => string {
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  return (fraction) => {
    let rest = fraction * total;
    for (const [variant, weight] of weights) {
      if (rest < weight) return variant;
      rest -= weight;
    }
    return weights[weights.length - 1]![0];
  };
}

/** FNV-1a of 32 bits, its bits mixed once more as MurmurHash3 does; as a fraction of 1. */
function hash(text: string): number {
  let bits = 0x811c9dc5;
  for (const character of text) bits = Math.imul(bits ^ character.codePointAt(0)!, 0x01000193);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
}

/** Null where there is none that could be a visitor's. */
function readCookie(cookies: string | null, name: string): string | null {
  const pair = (cookies ?? "").split(";").find((one) => one.trim().startsWith(`${name}=`));
  const value = pair?.slice(pair.indexOf("=") + 1).trim() ?? "";
  return value !== "" && value.length <= ID_CHARACTERS_MAX ? value : null;
}
