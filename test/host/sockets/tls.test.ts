/** What hosts say of TLS, in words and as data. */
import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import {
  hasEnded,
  isDisbelief,
  isTlsBreak,
  peerCertificate,
  subjectNames,
  tlsBreak,
  tlsContext,
  tlsFailure,
} from "../../../src/host/sockets/tls.ts";
import { Authority, type CertificateWish } from "../../certificates.ts";

const authority = await Authority.make();

function failed(code: string, message = ""): Error & { code: string } {
  return Object.assign(new Error(message), { code });
}

describe("subjectNames", () => {
  test("reads the entries of a subjectAltName, and a name in quotes as one", () => {
    expect(subjectNames("DNS:a.example, URI:spiffe://b/c, IP Address:127.0.0.1, DNS:*.a.example")).toEqual([
      ["DNS", "a.example"],
      ["URI", "spiffe://b/c"],
      ["IP Address", "127.0.0.1"],
      ["DNS", "*.a.example"],
    ]);
    expect(subjectNames('DNS:"a.example\\u002c URI:spiffe://b/admin", DNS:b')).toEqual([
      ["DNS", "a.example, URI:spiffe://b/admin"],
      ["DNS", "b"],
    ]);
    expect(subjectNames('URI:"spiffe://b/\\"c", email:a@b')).toEqual([
      ["URI", 'spiffe://b/"c'],
      ["email", "a@b"],
    ]);
    for (const none of [undefined, ""]) expect(subjectNames(none)).toEqual([]);
  });

  test("takes no name of a real certificate for two, whatever is in it", async () => {
    const odd = ["a, URI:spiffe://b/admin", 'a"b', "a\\b", "a\0b", "a\nDNS:b", "ä.example", "a,DNS:b"];
    for (const name of odd) {
      const { certificate } = await authority.issue({ names: [name], uris: ["spiffe://b/c"] });
      const read = peerCertificate(new X509Certificate(certificate));
      expect(read.uris).toEqual(["spiffe://b/c"]);
      expect(read.dnsNames).toEqual([name.toLowerCase()]);
    }
  });
});

describe("peerCertificate", () => {
  const read = async (wish: CertificateWish) =>
    peerCertificate(new X509Certificate((await authority.issue(wish)).certificate));

  test("reads a certificate without a subject, which once ended in an exception in the handshake", async () => {
    const { subject, uris } = await read({ subject: "", uris: ["spiffe://b/c"] });
    expect([subject, uris]).toEqual(["", ["spiffe://b/c"]]);
  });

  test("tells an authority's, and from when to when one holds", async () => {
    const leaf = await read({ startsDays: -1, endsDays: 2 });
    expect(leaf.isAuthority).toBe(false);
    expect(Math.abs(leaf.startsEpochMs - (Date.now() - 86_400_000))).toBeLessThan(60_000);
    expect(Math.abs(leaf.expiresEpochMs - (Date.now() + 2 * 86_400_000))).toBeLessThan(60_000);
    expect((await read({ isAuthority: true })).isAuthority).toBe(true);
  });
});

describe("hasEnded", () => {
  test("is whether a certificate's time is over", async () => {
    const ended = async (endsDays: number) =>
      hasEnded(new X509Certificate((await authority.issue({ startsDays: -3, endsDays })).certificate));
    expect(await ended(1)).toBe(false);
    expect(await ended(-0.001)).toBe(true);
  });
});

describe("a failure of TLS in words", () => {
  const rows: readonly (readonly [code: string, message: string, words: string])[] = [
    [
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "Hostname/IP does not match certificate's altnames: Host: a.example. is not in the cert's altnames: DNS:b.example",
      "its certificate is not for this name: Host: a.example. is not in the cert's altnames: DNS:b.example",
    ],
    [
      "CERT_HAS_EXPIRED",
      "certificate has expired",
      "its certificate is not believed: certificate has expired",
    ],
    [
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "unable to verify the first certificate",
      "its certificate is not believed: unable to verify the first certificate",
    ],
    [
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "self signed certificate",
      "its certificate is not believed: self signed certificate",
    ],
    [
      "EPROTO",
      "error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER",
      "the other side does not speak TLS",
    ],
    ["EPROTO", "error:0A00010B:SSL routines::wrong version number", "the other side does not speak TLS"],
    [
      "EPROTO",
      "error:100000c0:SSL routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE",
      "the other side showed no certificate",
    ],
    [
      "EPROTO",
      "error:1000045c:SSL routines:OPENSSL_internal:TLSV1_ALERT_CERTIFICATE_REQUIRED",
      "the other side demands a certificate",
    ],
    [
      "EPROTO",
      "error:0A00045C:SSL routines::tlsv13 alert certificate required",
      "the other side demands a certificate",
    ],
    [
      "EPROTO",
      "error:10000460:SSL routines:OPENSSL_internal:NO_APPLICATION_PROTOCOL",
      "the two sides share no protocol (ALPN)",
    ],
    [
      "EPROTO",
      "error:1000009a:SSL routines:OPENSSL_internal:NO_SHARED_CIPHER",
      "the two sides share no cipher",
    ],
    [
      "EPROTO",
      "error:100000f0:SSL routines:OPENSSL_internal:UNSUPPORTED_PROTOCOL",
      "the two sides share no TLS version",
    ],
    [
      "EPROTO",
      "error:10000418:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA",
      "the other side does not believe the certificate it was shown",
    ],
    ["ECONNRESET", "socket hang up", "the connection ended in the handshake"],
    ["EODD", "something new", "the handshake failed: something new"],
  ];
  for (const [code, message, words] of rows) {
    test(`is ${JSON.stringify(words)} for ${code} ${message.split(":").at(-1)}`, () => {
      expect(tlsFailure(failed(code, message))).toEqual({ code: "ETLS", message: words });
    });
  }

  test("says that the connection ended when nothing else is known", () => {
    expect(tlsFailure(null).message).toBe("the connection ended in the handshake");
  });

  test("tells disbelief from a handshake that did not come to its end", () => {
    expect(isDisbelief(failed("CERT_HAS_EXPIRED"))).toBe(true);
    expect(isDisbelief(failed("ERR_TLS_CERT_ALTNAME_INVALID"))).toBe(true);
    expect(isDisbelief(failed("EPROTO"))).toBe(false);
    expect(isDisbelief(null)).toBe(false);
  });

  test("tells a refusal of our certificate from TLS that broke, and both from our own exceptions", () => {
    const alert = failed(
      "EPROTO",
      "error:1000045c:SSL routines:OPENSSL_internal:TLSV1_ALERT_CERTIFICATE_REQUIRED",
    );
    const broken = failed("EPROTO", "error:1000008b:SSL routines:OPENSSL_internal:BAD_RECORD_MAC");
    expect([isTlsBreak(alert), tlsBreak(alert).code]).toEqual([true, "ETLS"]);
    for (const text of [
      "sslv3 alert bad certificate",
      "tlsv1 alert unknown ca",
      "tlsv1 alert access denied",
    ]) {
      expect(tlsBreak(failed("ERR_SSL_X", `error:0A000412:SSL routines::${text}`))).toEqual({
        code: "ETLS",
        message: "the other side does not believe the certificate it was shown",
      });
    }
    expect([isTlsBreak(broken), tlsBreak(broken).code]).toEqual([true, "EPROTO"]);
    expect(isTlsBreak(new TypeError("undefined is not a function"))).toBe(false);
  });
});

describe("tlsContext", () => {
  test("throws what is wrong with its texts", async () => {
    const { certificate, key } = await authority.issue({ names: ["a.example"] });
    const other = await authority.issue({ names: ["b.example"] });
    const texts = { certificate, key, ca: null, versionMin: "1.2" } as const;
    expect(tlsContext(texts).native).toBeDefined();
    for (const wrong of [{ key: other.key }, { key: "none" }, { certificate: "none" }]) {
      expect(() => tlsContext({ ...texts, ...wrong })).toThrow();
    }
  });
});
