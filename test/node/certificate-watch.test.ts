import { expect, test } from "bun:test";
import { CertificateWatch, certificateGauge } from "../../src/node/certificate-watch.ts";
import type { CertificateConfig, ServiceTls, Snapshot } from "../../src/snapshot.ts";
import type { LogFields } from "../../src/types.ts";
import { VirtualClock } from "../virtual-clock.ts";

const dayMs = 86_400_000;
const epochMs = new VirtualClock().epochMs();

function ending(inDays: number, file = "tls/cert.pem"): CertificateConfig {
  const files = { certificate: file, key: "tls/key.pem" };
  return { files, expiresEpochMs: epochMs + inDays * dayMs } as unknown as CertificateConfig;
}

/** A listener `web` with these, and a service `orders`. */
function live(
  web: readonly CertificateConfig[],
  orders: Partial<ServiceTls> | null = null,
  callers: "anyone" | "mesh" = "anyone",
): Snapshot {
  const tls = orders === null ? null : { certificate: null, verification: "full", ...orders };
  const listeners = [{ name: "web", tls: web, callers }];
  return { listeners, services: [{ name: "orders", tls }] } as unknown as Snapshot;
}

function watching() {
  const clock = new VirtualClock();
  const said: string[] = [];
  const fields: LogFields[] = [];
  const warn = (message: string, more: LogFields = {}) => {
    said.push(message);
    fields.push(more);
  };
  const take = () => said.splice(0);
  return { clock, fields, take, watch: new CertificateWatch(clock, { warn }) };
}

test("CertificateWatch warns of what ends within 14 days, and of nothing else", () => {
  const { watch, take, fields } = watching();
  watch.follow(live([ending(14), ending(90)], { certificate: ending(30) }));
  expect(take()).toEqual([]);
  watch.follow(live([ending(13.5), ending(1), ending(0.5), ending(-1)]));
  expect(take()).toEqual([
    "the certificate of listener web ends in 13 days",
    "the certificate of listener web ends in 1 day",
    "the certificate of listener web ends today",
    "the certificate of listener web has ended: who verifies it refuses the connection",
  ]);
  expect(fields[0]).toEqual({
    listener: "web",
    certificate: "tls/cert.pem",
    endsAt: "2023-11-28T10:13:20.000Z",
  });
  watch.follow(live([], { certificate: ending(3) }));
  expect(take()).toEqual(["the certificate of service orders ends in 3 days"]);
});

test("CertificateWatch says a thing once a day, and after a reload only what is new", () => {
  const { watch, clock, take } = watching();
  const soon = live([ending(5.5)]);
  watch.follow(soon);
  expect(take()).toHaveLength(1);
  watch.follow(soon);
  watch.follow(live([ending(5.5), ending(3.5, "other.pem")]));
  expect(take()).toEqual(["the certificate of listener web ends in 3 days"]);
  clock.advance(dayMs);
  expect(take()).toEqual([
    "the certificate of listener web ends in 4 days",
    "the certificate of listener web ends in 2 days",
  ]);
  watch.follow(live([ending(90)]));
  clock.advance(7 * dayMs);
  expect(take()).toEqual([]);
  watch.close();
  expect(clock.waiting).toBe(0);
});

test("CertificateWatch comes to warn of a certificate that was far from its end", () => {
  const { watch, clock, take } = watching();
  watch.follow(live([ending(20.5)]));
  clock.advance(6 * dayMs);
  expect(take()).toEqual([]);
  clock.advance(dayMs);
  expect(take()).toEqual(["the certificate of listener web ends in 13 days"]);
});

test("CertificateWatch warns of a service of which anybody is believed", () => {
  const { watch, take } = watching();
  watch.follow(live([], { verification: "none" }));
  expect(take()).toEqual([
    "service orders: whoever answers is believed, and can read and change all of it (tls.verification: none)",
  ]);
});

test("certificateGauge has each file of a listener or a service once", () => {
  const { samples } = certificateGauge(
    live([ending(1), ending(1), ending(2, "b.pem")], { certificate: ending(3) }),
  );
  const at = (days: number) => (epochMs + days * dayMs) / 1000;
  expect(samples).toEqual([
    { labels: ["web", "", "tls/cert.pem"], value: at(1) },
    { labels: ["web", "", "b.pem"], value: at(2) },
    { labels: ["", "orders", "tls/cert.pem"], value: at(3) },
  ]);
  expect(certificateGauge(null).samples).toEqual([]);
});

test("CertificateWatch leaves a mesh's own certificates, which end every day, to who renews them", () => {
  const { watch, take } = watching();
  const identity = "spiffe://store.example/orders";
  watch.follow(live([ending(0.5)], { certificate: ending(0.5), identity }, "mesh"));
  expect(take()).toEqual([]);
});
