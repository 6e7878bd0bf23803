/** The text that is signed (RFC 9421, section 2.5). */
import { targetOf } from "../who/target.ts";
import type { SignatureInput } from "./signature-input.ts";

/** What a component says besides itself. */
const IMPLIED: Readonly<Record<string, readonly string[]>> = {
  "@target-uri": ["@scheme", "@authority", "@path", "@query", "@request-target"],
  "@request-target": ["@path", "@query"],
};

/** The first of the wanted components that is not signed; null when all are. */
export function uncovered(components: readonly string[], wanted: readonly string[]): string | null {
  const covered = new Set(components.flatMap((name) => [name, ...(IMPLIED[name] ?? [])]));
  return wanted.find((name) => !covered.has(name)) ?? null;
}

/** Null when a field that was signed is not there. */
export function signatureBase(request: Request, { components, written }: SignatureInput): string | null {
  const lines: string[] = [];
  for (const name of components) {
    const value = name.startsWith("@") ? derived(request, name) : request.headers.get(name);
    if (value === null) return null;
    lines.push(`"${name}": ${value}`);
  }
  return [...lines, `"@signature-params": ${written}`].join("\n");
}

function derived({ method, url }: Request, name: string): string | null {
  const { path, query } = targetOf(url);
  // The host in lower case, without the scheme's own port.
  const { protocol, host } = new URL(url);
  switch (name) {
    case "@method":
      return method;
    case "@authority":
      return host;
    case "@scheme":
      return protocol.slice(0, -1);
    case "@target-uri":
      return `${protocol}//${host}${path}${query}`;
    case "@request-target":
      return path + query;
    case "@path":
      return path;
    case "@query":
      return query === "" ? "?" : query;
    default:
      return null;
  }
}
