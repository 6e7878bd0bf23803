/** The root of a mesh as its tokens name it: SHA-256 of the certificate, base64url (RFC 4648, section 5). */

const certificateBlock = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/g;
const certificatesMax = 16;

export interface FingerprintedRoot {
  readonly fingerprint: string;
  /** PEM. */
  readonly certificate: string;
}

export async function fingerprints(roots: string): Promise<readonly FingerprintedRoot[]> {
  const blocks = [...roots.matchAll(certificateBlock)].slice(0, certificatesMax);
  return Promise.all(
    blocks.map(async ([certificate, base64 = ""]) => {
      const hash = await crypto.subtle.digest("SHA-256", Buffer.from(base64, "base64"));
      return { certificate: `${certificate}\n`, fingerprint: Buffer.from(hash).toString("base64url") };
    }),
  );
}
