import { expect, test } from "bun:test";
import { host } from "../../../src/host/index.ts";
import { ServiceTargets } from "../../../src/runtime/tls/service-targets.ts";
import type { ServiceConfig, ServiceTls } from "../../../src/snapshot.ts";

const tls: ServiceTls = {
  ca: null,
  caFile: null,
  serverName: null,
  verification: "full",
  identity: null,
  certificate: null,
};

/** Whom the certificate of an endpoint at 10.0.0.1 has to name; null for that address. */
function wanted(dnsName: string | null, serverName: string | null = null): string | null {
  const dns = dnsName === null ? null : { name: dnsName };
  const service = { dns, tls: { ...tls, serverName } } as unknown as ServiceConfig & {
    readonly tls: ServiceTls;
  };
  return new ServiceTargets(service, host.sockets).to({ host: "10.0.0.1", port: 443 }).serverName;
}

test("ServiceTargets wants the name that was looked up in a certificate, not the address that it led to", () => {
  expect(wanted(null)).toBeNull();
  expect(wanted("orders.internal")).toBe("orders.internal");
  expect(wanted("orders.internal.")).toBe("orders.internal");
  expect(wanted("_https._tcp.orders.internal")).toBe("orders.internal");
  expect(wanted("orders.internal", "shop.example")).toBe("shop.example");
});
