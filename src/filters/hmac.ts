/**
 * Downstream. Lets pass requests that are signed with a shared key: HTTP Message Signatures (RFC 9421) with hmac-sha256,
 * and Content-Digest (RFC 9530) for the body. A signature counts for a short time, and once.
 */
import { defineFilter, duration, secret, size, z } from "../plugin.ts";
import { componentPattern, derivedComponents } from "./hmac/signature-input.ts";
import { keyBytes, SignatureVerifier, type Why } from "./hmac/verifier.ts";
import { realmOption, refusalOf, unauthenticated } from "./refusal.ts";
import { byCallerName, nameHeaderOption, passName } from "./who/caller-name.ts";

/** RFC 2104, section 3: not shorter than what the hash gives. */
const KEY_BYTES_MIN = 32;

const key = secret().superRefine((text, context) => {
  const bytes = keyBytes(text);
  const fault = (message: string) => context.addIssue({ code: "custom", message, input: text });
  if (bytes === null) fault("wanted base64 behind base64:");
  else if (bytes.length < KEY_BYTES_MIN) fault(`wanted at least ${KEY_BYTES_MIN} bytes`);
});

const component = z
  .string()
  .refine((name) => (name.startsWith("@") ? derivedComponents.includes(name) : componentPattern.test(name)), {
    error: `wanted the name of a header in lower case, or one of ${derivedComponents.join(", ")}`,
  });

const options = z.strictObject({
  keys: byCallerName(key).describe(
    "shared keys by their names (keyid): text, or base64: and bytes, of at least 32 bytes; best read by file:PATH",
  ),
  cover: z
    .array(component)
    .min(1)
    .max(50)
    .default(["@method", "@authority", "@path", "@query"])
    .describe("what must be signed"),
  body: z
    .enum(["signed", "unsigned"])
    .default("signed")
    .describe(
      "signed: a body must fit a content-digest that is signed too, for which it is held; unsigned: bodies are not looked at",
    ),
  bodyMax: size({ minBytes: 1, maxBytes: 8 * 1024 * 1024 })
    .default(1024 * 1024)
    .describe("the largest body that is held for that; a larger one is refused with 413"),
  window: duration({ minMs: 1000, maxMs: 3_600_000 })
    .default(300_000)
    .describe("how long a signature counts"),
  header: nameHeaderOption,
  realm: realmOption,
});

const sentences: Readonly<Record<Exclude<Why, "too-large">, string>> = {
  missing: "the request is not signed",
  malformed: "the signature cannot be read",
  uncovered: "something that must be signed is not",
  "too-old": "the signature is too old, or from the future",
  signature: "the signature is wrong",
  digest: "the body is not the one that was signed",
  replayed: "the signature was used before",
};

export default defineFilter({
  name: "hmac",
  summary: "Asks for requests that are signed with a shared key, and passes its name on",
  options,
  middleware: (given, tools) => {
    const { keys, cover, body, bodyMax, window, header, realm } = given;
    const rules = { keys, cover, windowMs: window, body, bodyBytesMax: bodyMax };
    const verifier = new SignatureVerifier(rules, tools);
    const covered = body === "signed" ? [...cover, "content-digest"] : cover;
    // RFC 9421, section 5.1: how to do better.
    const wanted = `sig=(${covered.map((name) => `"${name}"`).join(" ")});created;keyid;alg="hmac-sha256"`;
    const refuse = (why: Why): Response => {
      tools.metrics.count("hmac_refused", { why });
      if (why === "too-large") {
        const sentence = `the request's body is larger than ${bodyMax} bytes`;
        return refusalOf({ status: 413, reason: "body-too-large", sentence });
      }
      const refusal = unauthenticated(sentences[why], `Signature realm="${realm}"`);
      refusal.headers.set("accept-signature", wanted);
      return refusal;
    };
    return async (c, next) => {
      const checked = await verifier.check(c.req.raw);
      if ("why" in checked) return refuse(checked.why);
      passName(c, header, checked.keyId);
      await next();
    };
  },
});
