/** Certificates of the tests' own authorities, made where they are needed. */
import "reflect-metadata";
import {
  BasicConstraintsExtension,
  type Extension,
  type JsonGeneralNames,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 86_400_000;

/** PEM texts. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateWish {
  readonly subject?: string;
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
  readonly uris?: readonly string[];
  /** Days from now; negative ones are past. */
  readonly startsDays?: number;
  readonly endsDays?: number;
}

let serial = 0;

export class Authority {
  readonly #keys: CryptoKeyPair;
  readonly #certificate: X509Certificate;

  private constructor(keys: CryptoKeyPair, certificate: X509Certificate) {
    this.#keys = keys;
    this.#certificate = certificate;
  }

  static async make(name = "CN=tests"): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: nextSerial(),
      name,
      keys,
      notBefore: at(-1),
      notAfter: at(100),
      signingAlgorithm: algorithm,
      extensions: [new BasicConstraintsExtension(true, 1, true)],
    });
    return new Authority(keys, certificate);
  }

  get certificate(): string {
    return this.#certificate.toString("pem");
  }

  async issue(wish: CertificateWish): Promise<Pair> {
    const keys = await newKeys();
    const names: JsonGeneralNames = [
      ...(wish.uris ?? []).map((value) => ({ type: "url" as const, value })),
      ...(wish.names ?? []).map((value) => ({ type: "dns" as const, value })),
      ...(wish.addresses ?? []).map((value) => ({ type: "ip" as const, value })),
    ];
    const extensions: Extension[] = names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : [];
    const certificate = await X509CertificateGenerator.create({
      serialNumber: nextSerial(),
      subject: wish.subject ?? "CN=leaf",
      issuer: this.#certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      notBefore: at(wish.startsDays ?? -1),
      notAfter: at(wish.endsDays ?? 30),
      signingAlgorithm: algorithm,
      extensions: [...extensions, new BasicConstraintsExtension(false)],
    });
    const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
    return { certificate: certificate.toString("pem"), key: PemConverter.encode(key, "PRIVATE KEY") };
  }
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

function nextSerial(): string {
  serial += 1;
  return (0x1000 + serial).toString(16);
}

function at(days: number): Date {
  return new Date(Date.now() + days * dayMs);
}
