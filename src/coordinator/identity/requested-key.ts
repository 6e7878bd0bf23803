import { Pkcs10CertificateRequest, type PublicKey } from "../../x509.ts";
import { Refusal } from "../refusal.ts";

const requestCharsMax = 16_384;

/** The key of a request (PKCS#10, PEM), which its owner has proved to have; the names in it count for nothing. */
export async function requestedKey(text: string): Promise<PublicKey> {
  if (text.length > requestCharsMax) {
    throw new Refusal(
      "request-damaged",
      `the certificate request has more than ${requestCharsMax} characters`,
    );
  }
  const request = readRequest(text);
  const { name, namedCurve } = request.publicKey.algorithm as { name: string; namedCurve?: string };
  if (name !== "ECDSA" || namedCurve !== "P-256") {
    const found = namedCurve ?? name;
    throw new Refusal("request-key", `the certificate request has a key of ${found}; wanted ECDSA on P-256`);
  }
  if (!(await request.verify().catch(() => false))) {
    throw new Refusal("request-forged", "the certificate request is not signed with its own key");
  }
  return request.publicKey;
}

function readRequest(text: string): Pkcs10CertificateRequest {
  try {
    return new Pkcs10CertificateRequest(text);
  } catch {
    throw new Refusal("request-damaged", "the certificate request is no PKCS#10 in PEM");
  }
}
