/** What the store keeps of an authority, and how it is read again. */

import { keyAlgorithm } from "../../certificate-request.ts";
import { PemConverter, X509Certificate } from "../../x509.ts";
import { Refusal } from "../refusal.ts";
import type { Issuer } from "./certificate-making.ts";

/** As JSON; PEM texts. */
export interface AuthorityRecord {
  readonly root: string;
  /** Null when the authority is the user's own: its key is never stored. */
  readonly rootKey: string | null;
  readonly intermediate: string;
  readonly intermediateKey: string;
  /** From the intermediate's issuer up to what the root vouches for. */
  readonly chain: string;
}

export function parseRecord(text: string): AuthorityRecord {
  const record = readObject(text);
  const { root, rootKey, intermediate, intermediateKey, chain } = record;
  const texts = [root, intermediate, intermediateKey, chain].every((part) => typeof part === "string");
  if (!texts || rootKey === undefined) {
    throw new Refusal(
      "store-damaged",
      "the authority in the store is not whole; restore the store from a copy",
    );
  }
  return record as unknown as AuthorityRecord;
}

function readObject(text: string): Partial<Record<keyof AuthorityRecord, unknown>> {
  try {
    return JSON.parse(text) as Partial<Record<keyof AuthorityRecord, unknown>>;
  } catch {
    return {};
  }
}

/** An authority of our own making. */
export async function issuerOf(certificate: string, key: string): Promise<Issuer> {
  const [bytes] = PemConverter.decode(key);
  return {
    certificate: new X509Certificate(certificate),
    key: await crypto.subtle.importKey("pkcs8", bytes!, keyAlgorithm, false, ["sign"]),
    algorithm: keyAlgorithm,
  };
}
