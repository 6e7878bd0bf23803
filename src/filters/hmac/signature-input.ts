/**
 * What a caller says that it signed (RFC 9421, section 4): one signature, over fields and derived components without
 * parameters of their own.
 */
export interface SignatureInput {
  readonly label: string;
  /** In lower case, each once. */
  readonly components: readonly string[];
  /** The list and its parameters as they were written: they are signed so. */
  readonly written: string;
  readonly createdSeconds: number;
  readonly expiresSeconds: number | null;
  readonly keyId: string;
}

/** Of the field's value. */
const CHARACTERS_MAX = 4096;
const COMPONENTS_MAX = 50;

/** RFC 8941, section 3: one member of a dictionary, an inner list of plain strings with parameters behind it. */
const member =
  /^([a-z*][a-z0-9_.*-]{0,63})=(\(((?:"[^"\\]{1,128}"(?: "[^"\\]{1,128}")*)?)\)((?:;[a-z*][a-z0-9_.*-]*=(?:\d{1,12}|"[ !#-[\]-~]{0,256}"))*))$/;
const parameter = /;([a-z*][a-z0-9_.*-]*)=(?:(\d{1,12})|"([^"]*)")/g;
/** Section 2.2; a field's name otherwise. */
export const derivedComponents = [
  "@method",
  "@target-uri",
  "@authority",
  "@scheme",
  "@request-target",
  "@path",
  "@query",
];
export const componentPattern = /^(@[a-z-]+|[a-z0-9!#$%&'*+.^_`|~-]+)$/;

/** Null for what is none, or more than is understood here. */
export function parseSignatureInput(text: string): SignatureInput | null {
  if (text.length > CHARACTERS_MAX) return null;
  const [, label, written, list, parameterText] = member.exec(text.trim()) ?? [];
  if (label === undefined || written === undefined) return null;
  const components = [...(list ?? "").matchAll(/"([^"]*)"/g)].map(([, name]) => name!);
  if (components.length > COMPONENTS_MAX || new Set(components).size < components.length) return null;
  if (!components.every(isKnown)) return null;
  const parameters = new Map<string, string | number>();
  for (const [, name = "", number, string] of (parameterText ?? "").matchAll(parameter)) {
    if (parameters.has(name)) return null;
    parameters.set(name, number === undefined ? (string ?? "") : Number(number));
  }
  const [created, expires = null, keyId, algorithm = "hmac-sha256"] = [
    "created",
    "expires",
    "keyid",
    "alg",
  ].map((name) => parameters.get(name));
  if (typeof created !== "number" || typeof keyId !== "string" || algorithm !== "hmac-sha256") return null;
  if (expires !== null && typeof expires !== "number") return null;
  return { label, components, written, createdSeconds: created, expiresSeconds: expires, keyId };
}

function isKnown(name: string): boolean {
  return name.startsWith("@") ? derivedComponents.includes(name) : componentPattern.test(name);
}

/** The bytes of the signature with this label; null when there is none, or something beside it. */
export function parseSignature(text: string, label: string): Uint8Array<ArrayBuffer> | null {
  const prefix = `${label}=:`;
  const trimmed = text.trim();
  if (!trimmed.startsWith(prefix) || !trimmed.endsWith(":")) return null;
  const encoded = trimmed.slice(prefix.length, -1);
  return /^[A-Za-z0-9+/]{43}=$/.test(encoded) ? Uint8Array.from(Buffer.from(encoded, "base64")) : null;
}
