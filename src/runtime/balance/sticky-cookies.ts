/**
 * Cookies that tie a caller to an endpoint: a caller without one gets it with the answer, and its request goes already to
 * the endpoint that the cookie will lead to.
 */
import type { FieldEdits } from "../fetch/sources.ts";
import { fieldValue, isFieldNamed } from "../http1/fields.ts";

export class StickyCookies {
  /** By name: one for each service with such a key that the request is sent to. */
  readonly #values = new Map<string, string>();
  readonly #attributes: string;

  /** `scheme`: the caller's. Cookies that it gets over https are for https alone. */
  constructor(scheme: "http" | "https") {
    this.#attributes = `Path=/; HttpOnly; SameSite=Lax${scheme === "https" ? "; Secure" : ""}`;
  }

  /** The value that this caller will have; `make` makes it, once. */
  value(name: string, make: () => string): string {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const value = make();
    this.#values.set(name, value);
    return value;
  }

  /** Names and values of the fields to add to an answer. A cookie that it sets itself is the service's to choose. */
  fields(answer: FieldEdits): string[] {
    const own = cookiesOf(answer);
    return [...this.#values]
      .filter(([name]) => !own.some((cookie) => cookie.startsWith(`${name}=`)))
      .flatMap(([name, value]) => ["set-cookie", `${name}=${value}; ${this.#attributes}`]);
  }
}

function cookiesOf({ source, removed, added }: FieldEdits): string[] {
  const cookies: string[] = [];
  for (let index = 0; index < (source?.count ?? 0); index += 1) {
    if (isFieldNamed(source!, index, "set-cookie") && !removed.includes(index))
      cookies.push(fieldValue(source!, index));
  }
  for (let at = 0; at + 1 < added.length; at += 2)
    if (added[at]!.toLowerCase() === "set-cookie") cookies.push(added[at + 1]!);
  return cookies;
}
