/** Names of services as certificates carry them: SPIFFE ids (https://github.com/spiffe/spiffe, SPIFFE-ID.md). */

/** A host name in lower case: letters, digits, dots, dashes and underscores. */
const trustDomainForm = /^[a-z0-9._-]{1,255}$/;
/** One segment of a path; `.` and `..` are none. */
const serviceForm = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/;
/** SPIFFE-ID, section 2.3. */
const lengthMax = 2048;

export interface Identity {
  readonly trustDomain: string;
  readonly service: string;
}

export function isTrustDomain(text: string): boolean {
  return trustDomainForm.test(text);
}

/** `spiffe://store.example/payments` */
export function identityText({ trustDomain, service }: Identity): string {
  return `spiffe://${trustDomain}/${service}`;
}

/** Null for what is no identity of a service: another scheme, a port, a query, an empty or deeper path. */
export function parseIdentity(text: string): Identity | null {
  if (text.length > lengthMax || !text.startsWith("spiffe://")) return null;
  const [trustDomain = "", service = "", ...deeper] = text.slice("spiffe://".length).split("/");
  if (deeper.length > 0 || !isTrustDomain(trustDomain) || !serviceForm.test(service)) return null;
  return { trustDomain, service };
}
