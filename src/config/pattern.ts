/** What hosts, paths and methods look like in a match, a rewrite or a redirect. */
import { z } from "zod";

const hostName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const ipv6 = /^\[[0-9a-f:.]+\]$/;
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const parameter = /^:[A-Za-z_][A-Za-z0-9_]*$/;
const standardMethods = /^(get|head|post|put|delete|connect|options|trace|patch)$/i;
const pathCharactersMax = 4096;
/** RFC 3986, section 2.3. */
const unreserved = /[A-Za-z0-9._~-]/;

const hostWanted = 'wanted a host such as shop.example, or "*.shop.example" for every name below it';

/** Lower case; null for any host. */
export function hostPattern(): z.ZodType<string | null, string> {
  return checked(hostWanted, (text) => {
    const host = text.toLowerCase();
    if (host === "*") return { value: null };
    if (/:\d+$/.test(host) && !host.endsWith("]"))
      return { fault: "wanted a host without a port: hosts are compared without it" };
    if (host.lastIndexOf("*") > 0) return { fault: 'wanted the * at the front only, as in "*.shop.example"' };
    const name = host.startsWith("*.") ? host.slice(2) : host;
    return hostName.test(name) || (ipv6.test(name) && name === host)
      ? { value: host }
      : { fault: hostWanted };
  });
}

/** As written; null for any path. */
export function pathPattern(): z.ZodType<string | null, string> {
  return checked("wanted a path such as /healthz, /users/:id or /api/*", (text) => {
    if (text === "*") return { value: null };
    const fault = pathFault(text) ?? segmentFault(text);
    return fault === null ? { value: text } : { fault };
  });
}

/** The path of a rewrite or a redirect: `*` stands for what the match's `*` took. */
export function rewritePath(): z.ZodType<string, string> {
  return checked("wanted a path such as /new/*", (text) => {
    const fault = pathFault(text);
    if (fault !== null) return { fault };
    if (text.split("/").some((segment) => parameter.test(segment))) {
      return { fault: "wanted a path without :parameters: only a * is filled in" };
    }
    return { value: text };
  });
}

/** What a request of our own asks for, as it is sent. */
export function pathAndQuery(): z.ZodType<string, string> {
  const wanted = "wanted a path such as /healthz or /health?full=1, with other characters as %20";
  return checked(wanted, (text) =>
    text.length <= pathCharactersMax && /^\/[\x21\x22\x24-\x7e]*$/.test(text)
      ? { value: text }
      : { fault: wanted },
  );
}

/** With a port where it is needed. */
export function rewriteHost(): z.ZodType<string, string> {
  return checked("wanted a host such as shop.example or shop.example:8443", (text) => {
    const host = text.toLowerCase();
    const match = /^(.*?)(?::(\d{1,5}))?$/.exec(host);
    const name = match?.[1] ?? "";
    const known = (hostName.test(name) || ipv6.test(name)) && Number(match?.[2] ?? 1) <= 65_535;
    return known ? { value: host } : { fault: "wanted a host such as shop.example or shop.example:8443" };
  });
}

/** Methods compare with case (RFC 9110, section 9.1); the well-known ones in another case are mistakes. */
export function methodName(): z.ZodType<string, string> {
  return checked("wanted a method such as GET", (text) => {
    if (!token.test(text)) return { fault: "wanted a method such as GET" };
    const upper = text.toUpperCase();
    return standardMethods.test(text) && text !== upper
      ? { fault: `wanted ${upper}: methods compare with case` }
      : { value: text };
  });
}

type Verdict<Value> = { readonly value: Value } | { readonly fault: string };

function checked<Value>(wanted: string, judge: (text: string) => Verdict<Value>): z.ZodType<Value, string> {
  return z.string({ error: wanted }).transform((text, context): Value => {
    const verdict = judge(text);
    if ("value" in verdict) return verdict.value;
    context.addIssue({ code: "custom", message: verdict.fault, input: text });
    return z.NEVER;
  });
}

/** What any path must obey; the path is compared after the path policy, so it is written as that leaves it. */
function pathFault(text: string): string | null {
  if (!text.startsWith("/")) return "wanted a path that begins with /";
  if (text.length > pathCharactersMax) return `wanted at most ${pathCharactersMax} characters`;
  if (/[?#]/.test(text)) return "wanted a path without ? and #: query fields have their own key";
  if (/\\|%5c|%00/i.test(text))
    return "wanted a path without backslashes and NULs: such requests are refused";
  const encoded = encodePath(text);
  if (encoded !== text) return `wanted the path as it is compared: ${encoded}`;
  const star = text.indexOf("*");
  if (star >= 0 && (star !== text.length - 1 || text.charAt(star - 1) !== "/")) {
    return "wanted the * alone in the last segment, as in /api/*";
  }
  const dots = text.split("/").some((segment) => /^\.\.?$/.test(segment));
  return dots ? "wanted a path without . and .. segments: no request keeps them" : null;
}

function segmentFault(text: string): string | null {
  const names = text.split("/").filter((segment) => segment.startsWith(":"));
  const odd = names.find((name) => !parameter.test(name));
  if (odd !== undefined) return `wanted a parameter such as :id, found ${odd}`;
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? null : `wanted every parameter once, found ${twice} twice`;
}

/** Escapes what a path cannot hold, in the one spelling that requests are brought to: upper case, nothing needless. */
function encodePath(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\x21-\x7e]+|%(?![0-9A-Fa-f]{2})/g, encodeURIComponent)
    .replace(/%([0-9A-Fa-f]{2})/g, (triplet: string, digits: string) => {
      const character = String.fromCharCode(Number.parseInt(digits, 16));
      return unreserved.test(character) ? character : triplet.toUpperCase();
    });
}
