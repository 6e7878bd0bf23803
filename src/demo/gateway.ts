/** The gateway's config, as a person would write it, and the two changes that the demo makes to it. */
import type { ServiceName } from "./store.ts";

export interface GatewayPlan {
  readonly port: number;
  readonly adminPort: number;
  readonly accessLog: string;
  readonly ports: Readonly<Record<ServiceName, number>>;
  /** Shares of products v1 and v2. */
  readonly split: readonly [v1: number, v2: number];
}

export function gatewayConfig({ port, adminPort, accessLog, ports, split: [v1, v2] }: GatewayPlan): string {
  return `# The gateway of the online store. Save a change and it is live; save a mistake and nothing changes.
admin: 127.0.0.1:${adminPort}
drain: 5s

listeners:
  web:
    bind: 127.0.0.1:${port}
    filters:
      - request-id
      - access-log: { to: ${JSON.stringify(accessLog)} }
    routes:
      - match: { path: /healthz }
        respond: { status: 200, body: ok }
      - match: { path: /shop/* }
        redirect: { path: /*, status: 308 }
      - match: { path: /api/products/*, method: GET }
        filters:
          - headers: { response: { set: { cache-control: "max-age=5" } } }
        rewrite: { path: /* }
        to: { products-v1: ${v1}, products-v2: ${v2} }
      - match: { path: /api/accounts/*, method: GET }
        rewrite: { path: /* }
        to: accounts
      - match: { path: /api/payments/*, method: POST }
        timeout: 2s
        rewrite: { path: /* }
        to: payments
      - match: { path: /* }
        to: storefront

services:
${Object.entries(ports)
  .map(([name, servicePort]) => `  ${name}: { endpoints: [127.0.0.1:${servicePort}] }`)
  .join("\n")}
`;
}

/** A slip of the finger, in the line that sends checkouts to their service. */
export function brokenConfig(config: string): string {
  return config.replace("to: payments", "to: paymets");
}
