/** Keys as a config writes them, such as `header:x-tenant`. */
import { z } from "zod";
import type { RequestKey } from "./snapshot.ts";
import type { Mark } from "./units.ts";

const wanted = "wanted ip, route, identity, header:NAME, cookie:NAME, query:NAME or claim:NAME";
const pattern = "^(ip|route|identity|(header|cookie|query|claim):\\S{1,256})$";
const plain = /^(ip|route|identity)$/;
const named = /^(header|cookie|query|claim):(\S{1,256})$/;
/** Names of fields and cookies: RFC 9110, section 5.6.2, and RFC 6265, section 4.1.1. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Text such as `ip` or `header:x-tenant`; a RequestKey after parsing. Header names come in lower case. */
export function key(): z.ZodType<RequestKey, string> {
  return z
    .string({ error: wanted })
    .transform((text, context): RequestKey => {
      const found = parseKey(text);
      if (found !== null) return found;
      context.addIssue({ code: "custom", message: wanted, input: text });
      return z.NEVER;
    })
    .meta({ mark: "key" satisfies Mark, pattern, examples: ["ip", "header:x-tenant", "cookie:session"] });
}

function parseKey(text: string): RequestKey | null {
  if (plain.test(text)) return { by: text as "ip" | "route" | "identity" };
  const [, by, name = ""] = named.exec(text) ?? [];
  if (by === "query" || by === "claim") return { by, name };
  if (!token.test(name)) return null;
  if (by === "header") return { by, name: name.toLowerCase() };
  return by === "cookie" ? { by, name } : null;
}
