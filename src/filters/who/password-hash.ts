/**
 * Passwords as a config has them: `pbkdf2:ITERATIONS:SALT:HASH`, salt and hash in hexadecimal digits, for those that
 * people choose; `sha256:SALT:HASH`, the digest of salt and password behind it, for long random ones.
 */
import { secret } from "../../plugin.ts";
import { equalBytes, pbkdf2, sha256 } from "./digests.ts";

export interface PasswordHash {
  /** What one check costs; 1 for a single digest. */
  readonly iterations: number;
  matches(password: string): Promise<boolean>;
}

const ITERATIONS_MIN = 10_000;
/** About three seconds of one core. */
const ITERATIONS_MAX = 10_000_000;
const slow = /^pbkdf2:(\d{1,8}):((?:[0-9a-f]{2}){8,64}):([0-9a-f]{64})$/i;
const plain = /^sha256:([!-9;-~]{8,128}):([0-9a-f]{64})$/i;

export const passwordHashOption = secret().superRefine((text, context) => {
  const iterations = Number(slow.exec(text)?.[1] ?? ITERATIONS_MIN);
  const fault = (message: string) => context.addIssue({ code: "custom", message, input: text });
  if (!slow.test(text) && !plain.test(text))
    fault("wanted the hash of a password, pbkdf2:ITERATIONS:SALT:HASH or sha256:SALT:HASH (docs/filters.md)");
  else if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX)
    fault(`wanted from ${ITERATIONS_MIN} to ${ITERATIONS_MAX} iterations`);
});

/** Of a text that the option took. */
export function passwordHash(text: string): PasswordHash {
  const [, iterationsText, salt = "", hash = ""] = slow.exec(text) ?? [];
  if (iterationsText === undefined) return plainHash(text);
  const iterations = Number(iterationsText);
  const wanted = Buffer.from(hash, "hex");
  const rules = { salt: Uint8Array.from(Buffer.from(salt, "hex")), iterations };
  return { iterations, matches: async (password) => equalBytes(await pbkdf2(password, rules), wanted) };
}

function plainHash(text: string): PasswordHash {
  const [, salt = "", hash = ""] = plain.exec(text) ?? [];
  const wanted = Buffer.from(hash, "hex");
  const bytesOf = (password: string) => new TextEncoder().encode(salt + password);
  return { iterations: 1, matches: async (password) => equalBytes(await sha256(bytesOf(password)), wanted) };
}

/** For users that are not known: costs what the dearest known one costs, and matches nothing. */
export function decoyHash(hashes: readonly PasswordHash[]): PasswordHash {
  const iterations = Math.max(...hashes.map((hash) => hash.iterations));
  const nobody = "0".repeat(64);
  return passwordHash(
    iterations === 1
      ? `sha256:${"0".repeat(16)}:${nobody}`
      : `pbkdf2:${iterations}:${"0".repeat(32)}:${nobody}`,
  );
}
