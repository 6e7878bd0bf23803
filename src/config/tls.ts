/** `tls` of listeners and services. */
import type { ListenerCertificate, ListenerConfig, ServiceTls } from "../snapshot.ts";
import { type CertificateContext, readAuthorities, readCertificate } from "./certificates.ts";
import { checkFields, checkList } from "./check.ts";
import { certificatesMax, listenerTlsGrammar, serviceTlsGrammar } from "./grammar/tls.ts";
import { childOf, isNothing, type Part, spotOf } from "./located.ts";

/** The entries of a listener's `tls`; null when anything in them is wrong. */
export function readListenerTls(
  listener: Part,
  protocol: ListenerConfig["protocol"],
  context: CertificateContext,
): readonly ListenerCertificate[] | null {
  const { report } = context;
  const list = childOf(listener, "tls");
  const entries = checkList(list, { wanted: "a list of certificates", entriesMax: certificatesMax, report });
  if (entries === null) return null;
  if (protocol === "https" && entries.length === 0) {
    const message = "cannot serve https without a certificate: wanted `tls` with a certificate and its key";
    const hints = ["tls: [{ certificate: tls/cert.pem, key: tls/key.pem }]"];
    report.add(list?.key ?? listener.key, [...listener.path, "tls"], { message, hints });
    return null;
  }
  if (protocol === "http" && entries.length > 0) {
    const message = "cannot use certificates with protocol http: wanted protocol: https";
    report.add(list!.key, list!.path, { message });
    return null;
  }
  const read = entries.map((entry) => readEntry(entry, context));
  const right = read.filter((entry): entry is ListenerCertificate => entry !== null);
  return right.length === read.length ? right : null;
}

function readEntry(part: Part, context: CertificateContext): ListenerCertificate | null {
  const { report } = context;
  const { some, complete } = checkFields(listenerTlsGrammar, part, { report });
  const certificate = readCertificate(part, context);
  const caPart = childOf(part, "clientCa");
  const clientCa = readAuthorities(caPart, context);
  const auth = childOf(part, "clientAuth");
  if (auth !== null && caPart === null) {
    const message =
      "cannot ask for client certificates that nobody vouches for: wanted clientCa beside clientAuth";
    report.add(auth.key, auth.path, { message });
    return null;
  }
  const { clientAuth, minVersion } = some;
  if (!complete || certificate === null || (caPart !== null && clientCa === null)) return null;
  if (clientAuth === undefined || minVersion === undefined) return null;
  return {
    ...certificate,
    clientCa: clientCa?.text ?? null,
    clientCaFile: clientCa?.path ?? null,
    clientAuth,
    versionMin: String(minVersion) === "1.3" ? "1.3" : "1.2",
  };
}

/** Null without `tls`; "wrong" when anything in it is. */
export function readServiceTls(service: Part, context: CertificateContext): ServiceTls | null | "wrong" {
  const { report } = context;
  const part = childOf(service, "tls");
  if (part === null) return null;
  const { some, complete } = checkFields(serviceTlsGrammar, part, { report });
  const caPart = childOf(part, "ca");
  const ca = readAuthorities(caPart, context);
  const paired = checkPair(part, context);
  const certificate = some.certificate === undefined ? null : readCertificate(part, context);
  const { serverName, verification } = some;
  if (!complete || !paired || verification === undefined || (caPart !== null && ca === null)) return "wrong";
  if (some.certificate !== undefined && certificate === null) return "wrong";
  return {
    ca: ca?.text ?? null,
    caFile: ca?.path ?? null,
    serverName: serverName ?? null,
    verification,
    identity: null,
    certificate,
  };
}

/** A certificate and its key come together or not at all. */
function checkPair(part: Part, { report }: CertificateContext): boolean {
  const certificate = childOf(part, "certificate");
  const key = childOf(part, "key");
  if ((certificate === null) === (key === null)) return true;
  const given = certificate ?? key!;
  const missing = certificate === null ? "certificate" : "key";
  if (!isNothing(given)) {
    report.add(spotOf(given), given.path, {
      message: `cannot use this alone: wanted \`${missing}\` beside it`,
    });
  }
  return false;
}
