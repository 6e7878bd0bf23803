/** Certificates of the tests' own authorities, made where they are needed. */
import "reflect-metadata";
import {
  BasicConstraintsExtension,
  type Extension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

const algorithms = {
  ecdsa: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  rsa: {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  },
} as const;
type Kind = keyof typeof algorithms;
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
  /** Somebody else's; the pair's key is of no use then. */
  readonly publicKey?: CryptoKey;
  /** Whether the certificate says that it may vouch for others. */
  readonly isAuthority?: true;
}

let serial = 0;

export class Authority {
  readonly #kind: Kind;
  readonly #keys: CryptoKeyPair;
  readonly #certificate: X509Certificate;

  private constructor(kind: Kind, keys: CryptoKeyPair, certificate: X509Certificate) {
    this.#kind = kind;
    this.#keys = keys;
    this.#certificate = certificate;
  }

  /** `kind`: of its key, and of those that it vouches for. */
  static async make(name = "CN=tests", kind: Kind = "ecdsa"): Promise<Authority> {
    const keys = await newKeys(kind);
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: nextSerial(),
      name,
      keys,
      notBefore: at(-1),
      notAfter: at(100),
      signingAlgorithm: algorithms[kind],
      extensions: [
        new BasicConstraintsExtension(true, 1, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new Authority(kind, keys, certificate);
  }

  /** One below this one. */
  async authority(name: string): Promise<Authority> {
    const keys = await newKeys(this.#kind);
    const extensions = [new BasicConstraintsExtension(true, 0, true)];
    return new Authority(this.#kind, keys, await this.#sign(keys, { subject: name, extensions }));
  }

  get certificate(): string {
    return pemText(this.#certificate);
  }

  /** PKCS#8, PEM. */
  async key(): Promise<string> {
    return pemKey(this.#keys);
  }

  async issue(wish: CertificateWish): Promise<Pair> {
    const keys = await newKeys(this.#kind);
    const names: JsonGeneralNames = [
      ...(wish.uris ?? []).map((value) => ({ type: "url" as const, value })),
      ...(wish.names ?? []).map((value) => ({ type: "dns" as const, value })),
      ...(wish.addresses ?? []).map((value) => ({ type: "ip" as const, value })),
    ];
    const extensions: Extension[] = names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : [];
    extensions.push(new BasicConstraintsExtension(wish.isAuthority === true));
    const certificate = await this.#sign(keys, { ...wish, extensions });
    return { certificate: pemText(certificate), key: await pemKey(keys) };
  }

  #sign(
    keys: CryptoKeyPair,
    {
      subject,
      startsDays,
      endsDays,
      publicKey,
      extensions,
    }: CertificateWish & { readonly extensions: Extension[] },
  ): Promise<X509Certificate> {
    return X509CertificateGenerator.create({
      serialNumber: nextSerial(),
      subject: subject ?? "CN=leaf",
      issuer: this.#certificate.subject,
      publicKey: publicKey ?? keys.publicKey,
      signingKey: this.#keys.privateKey,
      notBefore: at(startsDays ?? -1),
      notAfter: at(endsDays ?? 30),
      signingAlgorithm: algorithms[this.#kind],
      extensions,
    });
  }
}

function newKeys(kind: Kind): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithms[kind], true, ["sign", "verify"]);
}

async function pemKey({ privateKey }: CryptoKeyPair): Promise<string> {
  return PemConverter.encode(await crypto.subtle.exportKey("pkcs8", privateKey), "PRIVATE KEY");
}

/** With a line end, so that texts can be joined. */
function pemText(certificate: X509Certificate): string {
  return `${certificate.toString("pem").trimEnd()}\n`;
}

function nextSerial(): string {
  serial += 1;
  return (0x1000 + serial).toString(16);
}

function at(days: number): Date {
  return new Date(Date.now() + days * dayMs);
}
