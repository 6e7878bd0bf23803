/** Says of a live configuration's certificates what its owner should know before its callers do. */

import type { Clock } from "../machine.ts";
import type { CertificateConfig, Snapshot } from "../snapshot.ts";
import type { Gauge } from "../telemetry/index.ts";
import type { Log, LogFields } from "../types.ts";

const dayMs = 86_400_000;
/** A certificate that ends sooner is warned of. */
const warnedMs = 14 * dayMs;

interface HeldCertificate {
  readonly owner: { readonly kind: "listener" | "service"; readonly name: string };
  readonly certificate: CertificateConfig;
  /** The mesh renews its own, and warns when it cannot. */
  readonly renewed: "by the mesh" | "by its owner";
}

interface Warning {
  readonly message: string;
  readonly fields: LogFields;
}

export class CertificateWatch {
  readonly #clock: Clock;
  readonly #log: Pick<Log, "warn">;
  readonly #stop: () => void;
  #live: Snapshot | null = null;
  /** What was said of the live configuration, so that a reload says only what is new. */
  #said = new Set<string>();

  constructor(clock: Clock, log: Pick<Log, "warn">) {
    this.#clock = clock;
    this.#log = log;
    this.#stop = clock.every(dayMs, () => this.#again());
  }

  follow(live: Snapshot): void {
    this.#live = live;
    const warnings = new Map(
      warningsOf(live, this.#clock.epochMs()).map((warning) => [JSON.stringify(warning.fields), warning]),
    );
    for (const [key, { message, fields }] of warnings)
      if (!this.#said.has(key)) this.#log.warn(message, fields);
    this.#said = new Set(warnings.keys());
  }

  close(): void {
    this.#stop();
  }

  #again(): void {
    this.#said = new Set();
    if (this.#live !== null) this.follow(this.#live);
  }
}

function warningsOf(live: Snapshot, nowEpochMs: number): Warning[] {
  const ending = heldCertificates(live)
    .filter(({ renewed }) => renewed === "by its owner")
    .filter(({ certificate }) => certificate.expiresEpochMs - nowEpochMs < warnedMs)
    .map(({ owner, certificate }): Warning => {
      const { files, expiresEpochMs } = certificate;
      const endsAt = new Date(expiresEpochMs).toISOString();
      return {
        message: `the certificate of ${owner.kind} ${owner.name} ${whenItEnds(expiresEpochMs - nowEpochMs)}`,
        fields: { [owner.kind]: owner.name, certificate: files.certificate, endsAt },
      };
    });
  const blind = live.services
    .filter(({ tls }) => tls?.verification === "none")
    .map(
      ({ name }): Warning => ({
        message: `service ${name}: whoever answers is believed, and can read and change all of it (tls.verification: none)`,
        fields: { service: name },
      }),
    );
  return [...ending, ...blind];
}

function whenItEnds(leftMs: number): string {
  if (leftMs <= 0) return "has ended: who verifies it refuses the connection";
  const days = Math.floor(leftMs / dayMs);
  return days === 0 ? "ends today" : `ends in ${days} day${days === 1 ? "" : "s"}`;
}

function heldCertificates({ listeners, services }: Snapshot): HeldCertificate[] {
  return [
    ...listeners.flatMap(({ name, tls, callers }) =>
      tls.map((certificate): HeldCertificate => {
        const renewed = callers === "anyone" ? "by its owner" : "by the mesh";
        return { owner: { kind: "listener", name }, certificate, renewed };
      }),
    ),
    ...services.flatMap(({ name, tls }): HeldCertificate[] => {
      const certificate = tls?.certificate ?? null;
      const renewed = tls?.identity == null ? "by its owner" : "by the mesh";
      return certificate === null ? [] : [{ owner: { kind: "service", name }, certificate, renewed }];
    }),
  ];
}

/** When each certificate ends, for `/metrics`; one file may stand in several entries of a listener. */
export function certificateGauge(live: Snapshot | null): Gauge {
  const samples = (live === null ? [] : heldCertificates(live)).map(({ owner, certificate }) => {
    const listener = owner.kind === "listener" ? owner.name : "";
    const service = owner.kind === "service" ? owner.name : "";
    const labels = [listener, service, certificate.files.certificate];
    return { labels, value: certificate.expiresEpochMs / 1000 };
  });
  return {
    name: "clearway_certificate_expiry_seconds",
    help: "When the certificate, or one that it comes with, ends: seconds since 1970.",
    labelNames: ["listener", "service", "certificate"],
    samples: [...new Map(samples.map((sample) => [JSON.stringify(sample.labels), sample])).values()],
  };
}
