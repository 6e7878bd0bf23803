/**
 * The names of headers that filters may change. The names that say how a message is framed or belong to one connection
 * (RFC 9110, section 7.6.1) are Clearway's own to write.
 */
import { z } from "../plugin.ts";

/** RFC 9110, section 5.6.2. */
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

const FRAMING = ["content-length", "transfer-encoding", "trailer", "expect"];
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "upgrade",
];

export const headerName = z.string("wanted the name of a header").superRefine((name, context) => {
  const message = headerNameProblem(name);
  if (message !== null) context.addIssue({ code: "custom", message, input: name });
});

/** Why filters may not change it; null when they may. */
export function headerNameProblem(name: string): string | null {
  const lower = name.toLowerCase();
  if (!TOKEN.test(name))
    return `cannot use "${name}" as the name of a header: wanted letters, digits and hyphens`;
  if (FRAMING.includes(lower)) return `cannot change "${name}": Clearway frames messages itself`;
  if (HOP_BY_HOP.includes(lower))
    return `cannot change "${name}": it belongs to one connection and is not passed on`;
  if (lower === "host") return `cannot change "${name}": use the route's rewrite: { host: … }`;
  if (lower.startsWith("x-clearway-"))
    return `cannot change "${name}": names with x-clearway- are Clearway's own`;
  return null;
}
