/** A key of one's own, and the request that a certificate be made for it: what a node sends to its coordinator. */
import { PemConverter, Pkcs10CertificateRequestGenerator } from "./x509.ts";

/** Every key of the mesh: ECDSA on P-256 (FIPS 186-5). */
export const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

export interface CertificateRequest {
  /** PKCS#8, PEM. It stays where it was made. */
  readonly key: string;
  /** PKCS#10 (RFC 2986), PEM, signed with the key. It names nobody: who asks proves otherwise who it is. */
  readonly request: string;
}

/** With a new key each time. */
export async function requestCertificate(): Promise<CertificateRequest> {
  const keys = await newKeys();
  const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: keyAlgorithm });
  return { key: await keyText(keys), request: `${request.toString("pem").trimEnd()}\n` };
}

export function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
}

/** PKCS#8, PEM. */
export async function keyText({ privateKey }: CryptoKeyPair): Promise<string> {
  const bytes = await crypto.subtle.exportKey("pkcs8", privateKey);
  return `${PemConverter.encode(bytes, "PRIVATE KEY").trimEnd()}\n`;
}
