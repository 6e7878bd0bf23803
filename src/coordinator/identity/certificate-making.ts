/** X.509 certificates (RFC 5280) of the mesh: who may vouch for whom, and what stands in them. */

import { keyAlgorithm } from "../../certificate-request.ts";
import type { Random } from "../../machine.ts";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralNames,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  type PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "../../x509.ts";

/** Whose key signs. */
export interface Issuer {
  readonly certificate: X509Certificate;
  readonly key: CryptoKey;
  /** Of the signature. */
  readonly algorithm: SigningAlgorithm;
}

export interface SigningAlgorithm {
  readonly name: string;
  readonly hash: string;
}

export interface Validity {
  readonly startsEpochMs: number;
  readonly expiresEpochMs: number;
}

export interface LeafWish extends Validity {
  readonly serial: string;
  readonly publicKey: PublicKey | CryptoKey;
  readonly names: JsonGeneralNames;
  readonly commonName: string | null;
  readonly usages: "client and server" | "server";
}

/** Upper bound of a common name (RFC 5280, appendix A.1). */
const commonNameMax = 64;

/** RFC 5280, section 4.1.2.2: positive, and at most 20 octets; these are 16, with 126 bits of chance. */
export function newSerial(random: Random): string {
  const id = random.id();
  return (4 + (Number.parseInt(id.slice(0, 1), 16) & 3)).toString(16) + id.slice(1);
}

export interface AuthorityWish extends Validity {
  readonly serial: string;
  readonly keys: CryptoKeyPair;
}

export async function makeRoot(wish: AuthorityWish): Promise<X509Certificate> {
  const { serial, keys } = wish;
  return X509CertificateGenerator.createSelfSigned({
    serialNumber: serial,
    name: authorityName("root", serial),
    keys,
    ...datesOf(wish),
    signingAlgorithm: keyAlgorithm,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
}

/** An authority that vouches for nodes, and for no other authority. */
export async function makeIntermediate(issuer: Issuer, wish: AuthorityWish): Promise<X509Certificate> {
  const { serial, keys } = wish;
  return sign(issuer, {
    serial,
    subject: authorityName("intermediate", serial),
    publicKey: keys.publicKey,
    validity: wish,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
}

export async function makeLeaf(issuer: Issuer, wish: LeafWish): Promise<X509Certificate> {
  const { commonName, names, publicKey, serial, usages } = wish;
  const named = commonName !== null && commonName.length <= commonNameMax;
  const client = usages === "server" ? [] : [ExtendedKeyUsage.clientAuth];
  return sign(issuer, {
    serial,
    subject: named ? [{ CN: [commonName] }] : [],
    publicKey,
    validity: wish,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([...client, ExtendedKeyUsage.serverAuth]),
      // RFC 5280, section 4.2.1.6: critical where there is no subject.
      new SubjectAlternativeNameExtension(names, !named),
    ],
  });
}

interface Signed {
  readonly serial: string;
  readonly subject: JsonName;
  readonly publicKey: PublicKey | CryptoKey;
  readonly validity: Validity;
  readonly extensions: readonly Extension[];
}

async function sign(issuer: Issuer, wish: Signed): Promise<X509Certificate> {
  const { serial, subject, publicKey, validity, extensions } = wish;
  return X509CertificateGenerator.create({
    serialNumber: serial,
    subject,
    issuer: issuer.certificate.subjectName,
    publicKey,
    signingKey: issuer.key,
    signingAlgorithm: issuer.algorithm,
    ...datesOf(validity),
    extensions: [
      ...extensions,
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.certificate.publicKey),
    ],
  });
}

/** Each one of its own, so that a verifier who looks for an issuer by name finds one. */
function authorityName(kind: "root" | "intermediate", serial: string): JsonName {
  return [{ O: ["Clearway"] }, { CN: [`Clearway ${kind} ${serial.slice(0, 8)}`] }];
}

/** Certificates know whole seconds. */
function datesOf({ startsEpochMs, expiresEpochMs }: Validity) {
  return { notBefore: new Date(wholeSecond(startsEpochMs)), notAfter: new Date(wholeSecond(expiresEpochMs)) };
}

export function wholeSecond(epochMs: number): number {
  return Math.floor(epochMs / 1000) * 1000;
}

/** With a line end, so that texts can be joined. */
export function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString("pem").trimEnd()}\n`;
}

/** SHA-256 of its DER, base64url: what tokens carry as `root`. */
export async function fingerprintOf(certificate: X509Certificate): Promise<string> {
  return Buffer.from(await crypto.subtle.digest("SHA-256", certificate.rawData)).toString("base64url");
}
