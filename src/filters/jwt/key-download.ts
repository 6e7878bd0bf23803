/** One download of an issuer's keys: whole within its time, of bounded size, from exactly this URL. */
import type { Tools } from "../../plugin.ts";
import { readAtMost } from "../who/bounded-body.ts";
import { type WebKey, webKeysOf } from "./web-keys.ts";

const BYTES_MAX = 256 * 1024;

export interface DownloadedKeys {
  readonly text: string;
  readonly keys: readonly WebKey[];
  /** What the issuer says by Cache-Control (RFC 9111, section 5.2.2.1); null when it does not. */
  readonly maxAgeMs: number | null;
}

export type DownloadTools = Pick<Tools, "fetch" | "clock">;

/** Rejects with an Error that says what went wrong. */
export async function downloadKeys(
  { fetch, clock }: DownloadTools,
  { url, timeoutMs }: { readonly url: string; readonly timeoutMs: number },
): Promise<DownloadedKeys> {
  const abort = new AbortController();
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(timeoutMs, () => {
    late.reject(new Error(`no whole answer within ${timeoutMs} ms`));
    abort.abort();
  });
  const download = async () => {
    const headers = { accept: "application/jwk-set+json, application/json" };
    const response = await fetch(url, { headers, signal: abort.signal });
    if (response.status !== 200) {
      void response.body?.cancel().catch(() => {});
      throw new Error(`it answered ${response.status}`);
    }
    const text = await textOf(response);
    return { text, keys: webKeysOf(text), maxAgeMs: maxAgeOf(response.headers.get("cache-control")) };
  };
  try {
    return await Promise.race([download(), late.promise]);
  } finally {
    cancel();
  }
}

async function textOf({ body }: Response): Promise<string> {
  const bytes = await readAtMost(body, BYTES_MAX);
  if (bytes === null) throw new Error(`it answered with more than ${BYTES_MAX} bytes`);
  return bytes.toString();
}

function maxAgeOf(cacheControl: string | null): number | null {
  const seconds = /(?:^|[\s,])max-age="?(\d{1,9})/i.exec(cacheControl ?? "")?.[1];
  return seconds === undefined ? null : Number(seconds) * 1000;
}
