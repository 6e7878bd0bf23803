/** Values that several parts of the grammar take. */
import { z } from "zod";
import { duration, type Mark, parsePercent, percentWanted, size } from "../../units.ts";

export const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110, section 5.5; a field holds bytes, so nothing above U+00FF fits. */
export const fieldText = /^[\t\x20-\x7e\x80-\xff]*$/;
export const textMax = 64 * 1024;

export const count = (min: number, max: number) => z.int().min(min).max(max);
export const deadline = () => duration({ minMs: 1 });

/** Listener and service names stand in metrics, in logs and in host names. */
const nameWanted =
  "wanted a name of at most 63 letters, digits, dashes, dots and underscores, a letter or digit first";
export const partName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, { error: nameWanted });
/** Callers reach it as NAME.mesh; `anonymous` are callers without an identity, coordinator.mesh is the coordinator itself. */
export const meshServiceName = z
  .string()
  .regex(/^(?!(anonymous|coordinator)$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, {
    error:
      "wanted a name of at most 63 lower-case letters, digits and dashes, other than anonymous and coordinator: callers reach it as NAME.mesh",
  });
export const headerName = z
  .string()
  .max(256)
  .regex(token, { error: "wanted a header name such as x-tenant" });
export const headerValue = z
  .string()
  .max(8192)
  .regex(fieldText, { error: "wanted Latin text without control characters" });

/** Text such as `20%`; a fraction from 0 to 1 after parsing. */
export function share(): z.ZodType<number, string> {
  const error = `wanted ${percentWanted}`;
  return z
    .string({ error })
    .transform((text, context) => {
      const fraction = parsePercent(text);
      if (fraction !== null) return fraction;
      context.addIssue({ code: "custom", message: error, input: text });
      return z.NEVER;
    })
    .meta({ mark: "percent" satisfies Mark, pattern: "^[0-9]+(\\.[0-9]+)?%$", examples: ["20%", "0.5%"] });
}

export const weight = count(0, 1_000_000);

export const messageLimits = {
  headerBytes: size({ minBytes: 1024, maxBytes: 1 << 20 })
    .describe("All header fields of one message")
    .optional(),
  headerFields: count(1, 10_000).describe("How many header fields a message may have").optional(),
  requestLineBytes: size({ minBytes: 256, maxBytes: 1 << 20 })
    .describe("The first line of a message")
    .optional(),
  trailerBytes: size({ maxBytes: 1 << 20 })
    .describe("All trailer fields of one message")
    .optional(),
  chunkExtensionBytes: size({ maxBytes: 1 << 20 })
    .describe("Extensions of one chunk")
    .optional(),
  messageExtensionBytes: size({ maxBytes: 1 << 20 })
    .describe("Chunk extensions of one message, all together")
    .optional(),
  bufferHigh: size({ minBytes: 4096, maxBytes: 1 << 26 })
    .describe("Waiting bytes, per direction, above which the sender is paused")
    .optional(),
  bufferLow: size({ minBytes: 1024, maxBytes: 1 << 26 })
    .describe("Waiting bytes, per direction, below which it goes on")
    .optional(),
  silenceTimeout: deadline()
    .describe("No byte either way in a body, stream, upgraded connection or tunnel")
    .optional(),
};

/** For a value that the design has and this version does not: no typing mistake. */
export function notYet(later: readonly string[], wanted: string) {
  return ({ input }: { readonly input?: unknown }): string | undefined => {
    const name = typeof input === "object" && input !== null ? Object.keys(input)[0] : input;
    return later.includes(String(name)) ? `wanted ${wanted}: ${name} is not in this version` : undefined;
  };
}
