/** What paths and methods look like where a config matches them. */
import { z } from "zod";

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const standardMethods = /^(get|head|post|put|delete|connect|options|trace|patch)$/i;
export const pathParameter = /^:[A-Za-z_][A-Za-z0-9_]*$/;
export const pathCharactersMax = 4096;
/** RFC 3986, section 2.3. */
const unreserved = /[A-Za-z0-9._~-]/;

/** As written; null for any path. */
export function pathPattern(): z.ZodType<string | null, string> {
  return checkedText("wanted a path such as /healthz, /users/:id or /api/*", (text) => {
    if (text === "*") return { value: null };
    const fault = pathFault(text) ?? segmentFault(text);
    return fault === null ? { value: text } : { fault };
  });
}

/** Methods compare with case (RFC 9110, section 9.1); the well-known ones in another case are mistakes. */
export function methodName(): z.ZodType<string, string> {
  return checkedText("wanted a method such as GET", (text) => {
    if (!token.test(text)) return { fault: "wanted a method such as GET" };
    const upper = text.toUpperCase();
    return standardMethods.test(text) && text !== upper
      ? { fault: `wanted ${upper}: methods compare with case` }
      : { value: text };
  });
}

export type Verdict<Value> = { readonly value: Value } | { readonly fault: string };

/** Text that `judge` reads, or finds a fault with. */
export function checkedText<Value>(
  wanted: string,
  judge: (text: string) => Verdict<Value>,
): z.ZodType<Value, string> {
  return z.string({ error: wanted }).transform((text, context): Value => {
    const verdict = judge(text);
    if ("value" in verdict) return verdict.value;
    context.addIssue({ code: "custom", message: verdict.fault, input: text });
    return z.NEVER;
  });
}

/** What any path must obey; the path is compared after the path policy, so it is written as that leaves it. */
export function pathFault(text: string): string | null {
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
  const odd = names.find((name) => !pathParameter.test(name));
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
