/** The answer of a filter that lets a request go no further. Returned and not thrown, so `onError: open` does not pass over it. */
import { z } from "../plugin.ts";

export interface Refusal {
  readonly status: number;
  /** The stable code in `x-clearway-reason`. */
  readonly reason: string;
  /** For the caller: says nothing of what is behind. */
  readonly sentence: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function refusalOf({ status, reason, sentence, headers }: Refusal): Response {
  return new Response(`${reason}: ${sentence}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "x-clearway-reason": reason, ...headers },
  });
}

/** RFC 9110, section 11.6.1: a 401 says how to do better. */
export function unauthenticated(sentence: string, challenge: string): Response {
  const headers = { "www-authenticate": challenge };
  return refusalOf({ status: 401, reason: "unauthenticated", sentence, headers });
}

/** RFC 9110, section 11.5: what the credentials are for; quoted as it is. */
export const realmOption = z
  .string()
  .regex(/^[ !#-[\]-~]{1,128}$/, "wanted printable text without quotes and backslashes")
  .default("restricted")
  .describe("what the credentials are for, as the refusal tells the caller");
