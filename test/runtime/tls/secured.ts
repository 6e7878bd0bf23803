/** Configs and certificates of listeners and services with TLS. */
import { Authority, type Pair } from "../../certificates.ts";

/** Whom callers believe, and whom listeners believe. */
export const authority = await Authority.make("CN=servers");
export const clientAuthority = await Authority.make("CN=clients");
/** Has the same name as the right one, and another key. */
export const rogueAuthority = await Authority.make("CN=clients");

export const shop: Pair = await authority.issue({
  names: ["shop.example"],
  addresses: ["127.0.0.1"],
});

/** By the names that the configs here use. */
export const files: Readonly<Record<string, string>> = {
  "shop.pem": shop.certificate,
  "shop.key": shop.key,
  "clients.pem": clientAuthority.certificate,
  "servers.pem": authority.certificate,
};

export const shopEntry = "{ certificate: shop.pem, key: shop.key }";
export const provedEntry = "{ certificate: shop.pem, key: shop.key, clientCa: clients.pem }";

/** The text of a listener (for `gateway`) with these entries of `tls`. */
export function https(entries: readonly string[], more = ""): string {
  return `    protocol: https\n    tls: [${entries.join(", ")}]\n${more}`;
}

/** What the service gets to know of its caller. */
export const tellIdentity = "    filters: [tell-identity]";

/** As a caller shows it. */
export function shown({ certificate, key }: Pair): {
  cert: string;
  key: string;
} {
  return { cert: certificate, key };
}
