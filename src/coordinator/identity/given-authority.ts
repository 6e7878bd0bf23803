/** An authority of the user's own (`--ca-cert`, `--ca-key`), checked before anything is made below it. */
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  X509Certificate,
} from "../../x509.ts";
import { type Issuer, pemOf, type SigningAlgorithm } from "./certificate-making.ts";

export interface GivenTexts {
  /** PEM: the authority, then what vouches for it, up to a root. */
  readonly certificates: string;
  /** PKCS#8, PEM. */
  readonly key: string;
}

export interface GivenAuthority {
  readonly issuer: Issuer;
  readonly root: X509Certificate;
  /** PEM: from the authority up to what the root vouches for; empty when the authority is the root. */
  readonly chain: string;
  /** When the first of all these certificates ends. */
  readonly expiresEpochMs: number;
}

const certificatesMax = 10;

/** Throws an Error that says what is wrong, and with which option. */
export async function readGivenAuthority(texts: GivenTexts, nowEpochMs: number): Promise<GivenAuthority> {
  const certificates = readCertificates(texts.certificates);
  for (const [index, certificate] of certificates.entries()) {
    demandAuthority(certificate, index, nowEpochMs);
    await demandIssuer(certificate, certificates[index + 1] ?? null);
  }
  const [authority] = certificates;
  return {
    issuer: await readIssuer(authority!, texts.key),
    root: certificates.at(-1)!,
    chain: certificates.slice(0, -1).map(pemOf).join(""),
    expiresEpochMs: Math.min(...certificates.map(({ notAfter }) => notAfter.getTime())),
  };
}

function readCertificates(text: string): X509Certificate[] {
  let certificates: X509Certificate[];
  try {
    certificates = PemConverter.decodeWithHeaders(text)
      .filter(({ type }) => type === "CERTIFICATE")
      .map(({ rawData }) => new X509Certificate(rawData));
  } catch {
    throw new Error("--ca-cert: a certificate in it is damaged");
  }
  if (certificates.length === 0) throw new Error("--ca-cert: there is no -----BEGIN CERTIFICATE----- in it");
  if (certificates.length > certificatesMax) {
    throw new Error(
      `--ca-cert: it has ${certificates.length} certificates; wanted at most ${certificatesMax}`,
    );
  }
  return certificates;
}

/** `index`: how many of the others stand below it. */
function demandAuthority(certificate: X509Certificate, index: number, nowEpochMs: number): void {
  const who = `--ca-cert: ${JSON.stringify(certificate.subject)}`;
  const constraints = certificate.getExtension(BasicConstraintsExtension);
  if (constraints?.ca !== true) throw new Error(`${who} is no authority (basicConstraints CA:TRUE)`);
  const usages = certificate.getExtension(KeyUsagesExtension)?.usages;
  if (usages !== undefined && (usages & KeyUsageFlags.keyCertSign) === 0) {
    throw new Error(`${who} may not sign certificates (keyUsage keyCertSign)`);
  }
  // Below it stand the others, the mesh's intermediate, and then nodes, which do not count (RFC 5280, section 4.2.1.9).
  const { pathLength } = constraints;
  if (pathLength !== undefined && pathLength <= index) {
    throw new Error(
      `${who} has the path length ${pathLength}; wanted at least ${index + 1}: an intermediate is made below it`,
    );
  }
  if (certificate.notAfter.getTime() <= nowEpochMs) {
    throw new Error(`${who} ended on ${certificate.notAfter.toISOString()}`);
  }
  if (certificate.notBefore.getTime() > nowEpochMs) {
    throw new Error(`${who} begins on ${certificate.notBefore.toISOString()}`);
  }
}

async function demandIssuer(certificate: X509Certificate, above: X509Certificate | null): Promise<void> {
  const issuer = above ?? certificate;
  const named = certificate.issuer === issuer.subject;
  if (named && (await certificate.verify({ publicKey: issuer.publicKey, signatureOnly: true }))) return;
  const who = `--ca-cert: ${JSON.stringify(certificate.subject)}`;
  throw new Error(
    above === null
      ? `${who} is the last one and no root; wanted after it what vouches for it: ${JSON.stringify(certificate.issuer)}`
      : `${who} is not signed by the one that follows it: ${JSON.stringify(above.subject)}`,
  );
}

async function readIssuer(certificate: X509Certificate, text: string): Promise<Issuer> {
  if (/ENCRYPTED/.test(text)) {
    throw new Error("--ca-key: it is encrypted; wanted a key without a passphrase");
  }
  if (!text.includes("-----BEGIN PRIVATE KEY-----")) {
    const command = "openssl pkcs8 -topk8 -nocrypt -in FILE";
    throw new Error(`--ca-key: there is no -----BEGIN PRIVATE KEY----- in it; this makes one: ${command}`);
  }
  const algorithm = signingAlgorithm(certificate);
  const [bytes] = PemConverter.decode(text);
  const key = await crypto.subtle
    .importKey("pkcs8", bytes!, { ...certificate.publicKey.algorithm, ...algorithm }, false, ["sign"])
    .catch(() => null);
  if (key === null || !(await belongs(key, certificate, algorithm))) {
    throw new Error(`--ca-key: it does not belong to ${JSON.stringify(certificate.subject)}, or is damaged`);
  }
  return { certificate, key, algorithm };
}

function signingAlgorithm({ publicKey, subject }: X509Certificate): SigningAlgorithm {
  const { name, namedCurve, modulusLength } = publicKey.algorithm as {
    name: string;
    namedCurve?: string;
    modulusLength?: number;
  };
  if (namedCurve === "P-256") return { name: "ECDSA", hash: "SHA-256" };
  if (namedCurve === "P-384") return { name: "ECDSA", hash: "SHA-384" };
  if (name === "RSASSA-PKCS1-v1_5" && (modulusLength ?? 0) >= 2048) return { name, hash: "SHA-256" };
  const wanted = "wanted ECDSA on P-256 or P-384, or RSA of 2048 bits or more";
  throw new Error(`--ca-cert: the key of ${JSON.stringify(subject)} is of another kind; ${wanted}`);
}

async function belongs(
  key: CryptoKey,
  { publicKey }: X509Certificate,
  algorithm: SigningAlgorithm,
): Promise<boolean> {
  const message = new TextEncoder().encode("whose key is it?");
  const signature = await crypto.subtle.sign(algorithm, key, message);
  const verifying = await publicKey.export({ ...publicKey.algorithm, ...algorithm }, ["verify"]);
  return crypto.subtle.verify(algorithm, verifying, signature, message);
}
