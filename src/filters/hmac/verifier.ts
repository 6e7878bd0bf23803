/** Whether a request is signed with one of the keys, in this time, and for the first time. */
import type { Tools } from "../../plugin.ts";
import { BoundedMap } from "../who/bounded-map.ts";
import { digestFits } from "./content-digest.ts";
import { signatureBase, uncovered } from "./signature-base.ts";
import { parseSignature, parseSignatureInput, type SignatureInput } from "./signature-input.ts";

/** How far a caller's clock may be ahead. */
const AHEAD_MAX_SECONDS = 30;
/** Of a worker; the oldest are forgotten. */
const SEEN_BOUNDS = { entriesMax: 100_000, charactersMax: 8 * 1024 * 1024 };

export interface VerifierRules {
  readonly keys: Readonly<Record<string, string>>;
  readonly cover: readonly string[];
  readonly windowMs: number;
  readonly body: "signed" | "unsigned";
  readonly bodyBytesMax: number;
}

/** Why a request is refused, for the metric. */
export type Why =
  | "missing"
  | "malformed"
  | "uncovered"
  | "too-old"
  | "signature"
  | "digest"
  | "replayed"
  | "too-large";

export class SignatureVerifier {
  readonly #rules: VerifierRules;
  readonly #tools: Tools;
  readonly #keys: Promise<ReadonlyMap<string, CryptoKey>>;
  /** For keys that are not known: a refusal takes as long. */
  readonly #decoy: Promise<CryptoKey>;
  readonly #seen: BoundedMap<"seen">;

  constructor(rules: VerifierRules, tools: Tools) {
    this.#rules = rules;
    this.#tools = tools;
    this.#keys = importKeys(rules.keys);
    this.#decoy = importKey(new TextEncoder().encode(tools.random.id()));
    this.#seen = tools.keep("seen", () => new BoundedMap(SEEN_BOUNDS));
  }

  async check(request: Request): Promise<{ readonly keyId: string } | { readonly why: Why }> {
    const [inputText, signatureText] = ["signature-input", "signature"].map((name) =>
      request.headers.get(name),
    );
    if (!inputText || !signatureText) return { why: "missing" };
    const input = parseSignatureInput(inputText);
    const signature = input && parseSignature(signatureText, input.label);
    if (input === null || signature === null) return { why: "malformed" };
    if (uncovered(input.components, this.#rules.cover) !== null) return { why: "uncovered" };
    if (!this.#isInTime(input)) return { why: "too-old" };
    if (!(await this.#isRight(request, input, signature))) return { why: "signature" };
    const body = this.#rules.body === "signed" ? await this.#checkBody(request, input) : null;
    if (body !== null) return { why: body };
    const seen = Buffer.from(signature).toString("base64");
    if (this.#seen.get(seen) !== undefined) return { why: "replayed" };
    this.#seen.set(seen, "seen");
    return { keyId: input.keyId };
  }

  #isInTime({ createdSeconds, expiresSeconds }: SignatureInput): boolean {
    const nowSeconds = this.#tools.clock.epochMs() / 1000;
    if (createdSeconds > nowSeconds + AHEAD_MAX_SECONDS) return false;
    if (expiresSeconds !== null && nowSeconds >= expiresSeconds) return false;
    return nowSeconds - createdSeconds <= this.#rules.windowMs / 1000;
  }

  async #isRight(
    request: Request,
    input: SignatureInput,
    signature: Uint8Array<ArrayBuffer>,
  ): Promise<boolean> {
    const base = signatureBase(request, input);
    if (base === null) return false;
    const key = (await this.#keys).get(input.keyId) ?? (await this.#decoy);
    // Latin letters of fields are bytes of one each.
    return crypto.subtle.verify("HMAC", key, signature, Uint8Array.from(Buffer.from(base, "latin1")));
  }

  async #checkBody(request: Request, { components }: SignatureInput): Promise<Why | null> {
    const { bodyBytesMax } = this.#rules;
    if (Number(request.headers.get("content-length") ?? 0) > bodyBytesMax) return "too-large";
    const covered = components.includes("content-digest");
    if (request.body === null && !covered) return null;
    const bytes = new Uint8Array(await request.arrayBuffer());
    if (bytes.byteLength > bodyBytesMax) return "too-large";
    if (!covered) return bytes.byteLength === 0 ? null : "uncovered";
    return (await digestFits(request.headers.get("content-digest") ?? "", bytes)) ? null : "digest";
  }
}

const base64Prefix = "base64:";

/** The bytes of a key of the config; null when behind `base64:` there is something else. */
export function keyBytes(text: string): Uint8Array<ArrayBuffer> | null {
  if (!text.startsWith(base64Prefix)) return new TextEncoder().encode(text);
  const encoded = text.slice(base64Prefix.length);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return null;
  return Uint8Array.from(Buffer.from(encoded, "base64"));
}

async function importKeys(keys: VerifierRules["keys"]): Promise<ReadonlyMap<string, CryptoKey>> {
  const entries = Object.entries(keys).map(async ([name, text]): Promise<[string, CryptoKey]> => {
    return [name, await importKey(keyBytes(text)!)];
  });
  return new Map(await Promise.all(entries));
}

function importKey(bytes: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}
