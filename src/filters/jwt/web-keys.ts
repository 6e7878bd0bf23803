/** Public keys as JSON (RFC 7517): those of the config, strictly; those of an issuer, as far as they are of use. */
import { z } from "../../plugin.ts";

export interface WebKey {
  readonly kty: string;
  readonly [member: string]: unknown;
}

/** What a set may hold; the further ones are not looked at. */
const KEYS_MAX = 100;
/** RFC 7518, section 6, and RFC 8037: the public members, and what says how a key is used. */
const MEMBERS = ["kty", "kid", "alg", "use", "key_ops", "n", "e", "crv", "x", "y"];
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  RSA: ["n", "e"],
  EC: ["crv", "x", "y"],
  OKP: ["crv", "x"],
};

/** The keys of a downloaded text; throws an Error that says what is wrong with it. */
export function webKeysOf(text: string): readonly WebKey[] {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    throw new Error("it is not JSON");
  }
  const { keys } = (read ?? {}) as { readonly keys?: unknown };
  if (!Array.isArray(keys)) throw new Error("it has no list `keys`");
  const usable = keys.slice(0, KEYS_MAX).filter((key) => keyProblem(key) === null);
  if (usable.length === 0) throw new Error("it has no public key of kty RSA, EC or OKP");
  return usable.map(publicMembers);
}

/** What else an issuer may have put there is no business of ours. */
function publicMembers(key: WebKey): WebKey {
  return Object.fromEntries(MEMBERS.flatMap((name) => (name in key ? [[name, key[name]]] : []))) as never;
}

function keyProblem(key: unknown): string | null {
  const { kty, ...members } = (key ?? {}) as Partial<WebKey>;
  if (kty === "oct") return "wanted a public key: whoever has this one can make tokens (hono/jwt takes it)";
  if (typeof kty !== "string" || !Object.hasOwn(NEEDED, kty)) return "wanted a key of kty RSA, EC or OKP";
  if ("d" in members) return "wanted a public key: this is a private one";
  const missing = NEEDED[kty]!.find((name) => typeof members[name] !== "string" || members[name] === "");
  return missing === undefined ? null : `wanted ${missing}, as text, in a key of kty ${kty}`;
}

const webKey = z.looseObject({ kty: z.string().describe("RSA, EC or OKP") }).superRefine((key, context) => {
  const message = keyProblem(key);
  if (message !== null) context.addIssue({ code: "custom", message, input: key });
});
const webKeySet = z.looseObject({
  keys: z.array(webKey).min(1).max(KEYS_MAX).describe("public keys, as in RFC 7517"),
});

const wanted = "wanted the URL of a key set, or a key set: { keys: […] } or file:PATH";

/** Where keys come from: a URL, or the keys themselves, of which a file arrives as its text. */
export const keysOption = z.union(
  [
    webKeySet.transform(({ keys }): readonly WebKey[] => keys),
    z.string({ error: wanted }).transform((text, context): string | readonly WebKey[] => {
      if (/^https?:\/\//i.test(text) && URL.canParse(text)) return text;
      const fault = (message: string): never => {
        context.addIssue({ code: "custom", message, input: text });
        return z.NEVER;
      };
      if (!text.trimStart().startsWith("{")) return fault(wanted);
      try {
        const set = webKeySet.safeParse(JSON.parse(text));
        return set.success ? set.data.keys : fault(set.error.issues[0]!.message);
      } catch {
        return fault("wanted a key set as JSON");
      }
    }),
  ],
  { error: wanted },
);
