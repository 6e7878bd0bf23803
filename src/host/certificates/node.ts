/** X.509 by `node:crypto`, which Bun, Node and Deno have. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { CertificateFacts, Certificates } from "../../machine.ts";
import { peerCertificate, subjectNames, subjectText } from "../sockets/tls.ts";

const block = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;
/** Certificates in one text: a bundle of every public authority has some 150. */
const certificatesMax = 1000;
/** Certificates from a leaf to what a root vouches for. */
const chainMax = 8;

export const certificates: Certificates = {
  read(text) {
    return certificatesIn(text).map(factsOf);
  },

  owner(text, key) {
    const privateKey = readKey(key);
    return certificatesIn(text).findIndex((certificate) => certificate.checkPrivateKey(privateKey));
  },

  vouchedFor(text, authorities) {
    const [leaf, ...others] = certificatesIn(text);
    const roots = certificatesIn(authorities);
    let last = leaf!;
    for (let depth = 0; depth < chainMax; depth++) {
      if (roots.some((root) => isIssuer(root, last))) {
        if (leaf!.ca) throw new Error("it is an authority's, not a node's");
        return peerCertificate(leaf!);
      }
      const next = others.find((other) => isIssuer(other, last));
      if (next === undefined) break;
      last = next;
    }
    throw new Error("none of the authorities vouches for it");
  },
};

function certificatesIn(text: string): X509Certificate[] {
  const blocks = [...text.matchAll(block)].filter(([, kind]) => kind === "CERTIFICATE");
  if (blocks.length === 0) throw new Error("there is no -----BEGIN CERTIFICATE----- in it");
  if (blocks.length > certificatesMax) throw new Error(`it has more than ${certificatesMax} certificates`);
  return blocks.map(([pem], index) => {
    try {
      return new X509Certificate(pem);
    } catch {
      throw new Error(`certificate ${index + 1} in it is damaged`);
    }
  });
}

function isIssuer(issuer: X509Certificate, of: X509Certificate): boolean {
  return issuer.ca && of.checkIssued(issuer) && of.verify(issuer.publicKey);
}

function readKey(text: string) {
  if (/ENCRYPTED/.test(text)) throw new Error("it is encrypted; wanted a key without a passphrase");
  if (!/-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/.test(text)) {
    throw new Error("there is no -----BEGIN PRIVATE KEY----- in it");
  }
  try {
    return createPrivateKey(text);
  } catch {
    throw new Error("the key in it is damaged, or of a kind that is not known");
  }
}

function factsOf(certificate: X509Certificate): CertificateFacts {
  const names = subjectNames(certificate.subjectAltName)
    .filter(([kind]) => kind === "DNS" || kind === "IP Address")
    .map(([, name]) => name.toLowerCase());
  return {
    names,
    subject: subjectText(certificate),
    startsEpochMs: Date.parse(certificate.validFrom),
    expiresEpochMs: Date.parse(certificate.validTo),
  };
}
