/** The grammar of TLS, towards callers and towards services. */
import { z } from "zod";

const pemFile = (what: string) => z.string("wanted the path of a PEM file").min(1).max(4096).describe(what);

const tlsVersion = z.union([z.literal(["1.2", "1.3"]), z.literal([1.2, 1.3])], {
  error: "wanted 1.2 or 1.3",
});

export const certificatesMax = 1000;

export const listenerTlsGrammar = z.strictObject({
  certificate: pemFile("The certificate, then what leads to its root; relative to this file"),
  key: pemFile("Its private key"),
  clientCa: pemFile(
    "Authorities whose client certificates are believed; without it none is asked for",
  ).optional(),
  clientAuth: z
    .enum(["required", "optional"])
    .default("required")
    .describe("Whether a caller without a certificate passes, with no identity; beside clientCa"),
  minVersion: tlsVersion.default("1.2").describe("The oldest TLS that is spoken: 1.2 or 1.3"),
});

export const serviceTlsGrammar = z.strictObject({
  ca: pemFile("Authorities that are believed; without it those of the host").optional(),
  serverName: z
    .string()
    .max(253)
    .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, {
      error: "wanted a host name such as orders.internal",
    })
    .describe("Whom the service's certificate must name; without it the endpoint's host")
    .optional(),
  certificate: pemFile("What this node shows of itself").optional(),
  key: pemFile("Its private key").optional(),
  verification: z
    .enum(["full", "none"])
    .default("full")
    .describe("none believes any certificate: for tests only"),
});
