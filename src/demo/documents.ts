/** The mesh document and the gateway's config, as a person would write them, and a change and a slip in the document. */

/** Shares of products v1 and v2, of 100. */
export type Split = readonly [v1: number, v2: number];

export function meshDocument([v1, v2]: Split): string {
  return `# Who is in the store, who may call whom, and how. Save a change and it is live; save a mistake and nothing changes.
trustDomain: store.example

services:
  gateway:
    allow: []
  storefront:
    allow: [{ from: gateway }]
    timeout: 5s
  accounts:
    allow: [{ from: [gateway, storefront], method: GET }]
    healthCheck: { path: /healthz, interval: 1s }
    retry: { attempts: 3 }
  products:
    allow: [{ from: [gateway, storefront], method: GET }]
    healthCheck: { path: /healthz, interval: 1s }
    retry: { attempts: 3 }
    split: { v1: ${v1}, v2: ${v2} }
  payments:
    allow: [{ from: storefront, method: POST, path: /charge }]
    healthCheck: { path: /healthz, interval: 1s }
    timeout: 2s
    retry: { attempts: 2 }
`;
}

/** A slip of the finger, in the line that says who may call payments. */
export function brokenDocument(document: string): string {
  return document.replace("from: storefront, method: POST", "from: storfront, method: POST");
}

export interface GatewayPlan {
  readonly port: number;
  readonly adminPort: number;
  readonly accessLog: string;
  readonly coordinatorUrl: string;
  readonly tokenFile: string;
}

export function gatewayConfig({
  port,
  adminPort,
  accessLog,
  coordinatorUrl,
  tokenFile,
}: GatewayPlan): string {
  return `# The store's gateway: a node at the edge of the mesh.
admin: 127.0.0.1:${adminPort}
drain: 5s
mesh: { coordinator: "${coordinatorUrl}", service: gateway, tokenFile: ${tokenFile} }

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
        to: products
      - match: { path: /api/accounts/*, method: GET }
        rewrite: { path: /* }
        to: accounts
      - match: { path: /* }
        to: storefront

services:
  storefront: {}
  accounts: {}
  products: {}
`;
}
