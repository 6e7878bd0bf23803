import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { requestCertificate } from "../../../src/certificate-request.ts";
import { MemoryStore } from "../../../src/coordinator/store/memory.ts";
import { StoreFailure } from "../../../src/coordinator/store/store.ts";
import { openssl, opensslFiles, opensslVerdict } from "../../openssl.ts";
import { dayMs, hourMs, makeAuthority, payments, reasonOf } from "./parts.ts";

const purposes = ["sslclient", "sslserver"] as const;

/** A request of openssl's own, with this kind of key and these names. */
function foreignRequest(key: readonly string[]): string {
  const names = ["-addext", "subjectAltName=DNS:accounts.mesh,URI:spiffe://store.example/accounts"];
  const made = ["-keyout", "key.pem", "-out", "request.pem", "-nodes", "-subj", "/CN=accounts"];
  const [text = ""] = opensslFiles(["req", "-new", "-newkey", ...key, ...made, ...names], {}, [
    "request.pem",
  ]);
  return text;
}

describe("authority", () => {
  test("certificate of a node is what openssl takes for a client's and a server's", async () => {
    const { authority, clock, issue } = await makeAuthority();
    const { certificate, roots, startsEpochMs, expiresEpochMs, identity } = await issue();
    expect(identity).toBe("spiffe://store.example/payments");
    expect(roots).toBe(authority.roots);
    for (const purpose of purposes) {
      expect(opensslVerdict({ certificate, roots, purpose, atEpochMs: clock.epochMs() })).toBe("OK");
      for (const atEpochMs of [startsEpochMs, expiresEpochMs - 1000]) {
        expect(opensslVerdict({ certificate, roots, purpose, atEpochMs })).toBe("OK");
      }
      const late = opensslVerdict({ certificate, roots, purpose, atEpochMs: expiresEpochMs + 1000 });
      expect(late).toContain("certificate has expired");
    }
    expect([startsEpochMs - clock.epochMs(), expiresEpochMs - clock.epochMs()]).toEqual([-300_000, dayMs]);
  });

  test("certificate of a node has one URI, one DNS name, and nothing of an authority", async () => {
    const { issue } = await makeAuthority();
    const { certificate } = await issue();
    const text = openssl(["x509", "-in", "leaf.pem", "-noout", "-text"], { "leaf.pem": certificate });
    expect(text).toContain("Subject: CN = payments\n");
    expect(text).toMatch(
      /Alternative Name: *\n\s+URI:spiffe:\/\/store\.example\/payments, DNS:payments\.mesh\n/,
    );
    expect(text).toMatch(/Basic Constraints: critical\n\s+CA:FALSE\n/);
    expect(text).toMatch(/Key Usage: critical\n\s+Digital Signature\n/);
    expect(text).toMatch(
      /Extended Key Usage: *\n\s+TLS Web Client Authentication, TLS Web Server Authentication\n/,
    );
    expect(text).toMatch(/Subject Key Identifier/);
    expect(text).toMatch(/Authority Key Identifier/);
    expect(text).toContain("ecdsa-with-SHA256");
    const serial = new X509Certificate(certificate).serialNumber;
    expect(serial.length).toBe(32);
    expect(BigInt(`0x${serial}`) > 2n ** 64n).toBe(true);
  });

  test("certificate has the names that the authority gives, not those of the request", async () => {
    const { authority } = await makeAuthority();
    const request = foreignRequest(["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    const { certificate } = await authority.issue(await authority.accept(request), {
      identity: payments,
      node: "n1",
    });
    const { subjectAltName, subject, publicKey } = new X509Certificate(certificate);
    expect(subjectAltName).toBe("URI:spiffe://store.example/payments, DNS:payments.mesh");
    expect(subject).toBe("CN=payments");
    const ofRequest = openssl(["req", "-in", "r.pem", "-noout", "-pubkey"], { "r.pem": request });
    expect(publicKey.export({ type: "spki", format: "pem" })).toBe(ofRequest);
  });

  test("requests that are forged, damaged, too long or of other keys are refused", async () => {
    const { authority } = await makeAuthority();
    const { request } = await requestCertificate();
    const bytes = Buffer.from(request.replace(/-----[^-]+-----|\s/g, ""), "base64");
    bytes[bytes.length - 1] = bytes.at(-1)! ^ 1;
    const header = "-----BEGIN CERTIFICATE REQUEST-----\n";
    const forged = `${header}${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    expect(await reasonOf(authority.accept(forged))).toBe("request-forged");
    for (const text of [
      "",
      "hello",
      `${header}AAAA\n-----END CERTIFICATE REQUEST-----`,
      request.slice(0, 150),
    ]) {
      expect(await reasonOf(authority.accept(text))).toBe("request-damaged");
    }
    expect(await reasonOf(authority.accept(request + " ".repeat(20_000)))).toBe("request-damaged");
    for (const key of [["rsa:2048"], ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], ["ed25519"]]) {
      expect(await reasonOf(authority.accept(foreignRequest(key)))).toBe("request-key");
    }
    expect(await reasonOf(authority.accept(request))).toBe("none");
  });

  test("no service can pass for the coordinator", async () => {
    const { issue } = await makeAuthority();
    expect(await reasonOf(issue("coordinator"))).toBe("service-reserved");
    expect(await reasonOf(issue("Coordinator"))).toBe("service-reserved");
  });

  test("a service's name too long for a common name is in the other names alone", async () => {
    const { issue, clock } = await makeAuthority();
    const { certificate, roots } = await issue("a".repeat(100));
    expect(new X509Certificate(certificate).subject ?? "").toBe("");
    const atEpochMs = clock.epochMs();
    expect(opensslVerdict({ certificate, roots, purpose: "sslserver", atEpochMs })).toBe("OK");
  });

  test("authority is the same after a restart, and when two are started at once", async () => {
    const store = new MemoryStore();
    const both = await Promise.all([makeAuthority({ store }), makeAuthority({ store })]);
    const again = await makeAuthority({ store });
    const prints = [...both, again].map(({ authority }) => authority.rootFingerprint);
    expect(new Set(prints).size).toBe(1);
    const der = new X509Certificate(again.authority.roots).raw;
    expect(prints[0]).toBe(new Bun.CryptoHasher("sha256").update(der).digest("base64url"));
  });

  test("intermediate is renewed before it ends, and both are valid meanwhile", async () => {
    const { authority, store, clock, issue } = await makeAuthority();
    const [first, firstEnd] = [await issue(), authority.expiresEpochMs];
    expect(firstEnd - clock.epochMs()).toBe(365 * dayMs);
    clock.advance(270 * dayMs);
    const before = await issue();
    expect(authority.expiresEpochMs).toBe(firstEnd);
    clock.advance(5 * dayMs);
    const after = await issue();
    expect(authority.expiresEpochMs).toBeGreaterThan(firstEnd + 200 * dayMs);
    expect(after.roots).toBe(first.roots);
    const lastOf = ({ certificate }: { certificate: string }) =>
      certificate.slice(certificate.indexOf("-----END"));
    expect(lastOf(before)).not.toBe(lastOf(after));
    for (const purpose of purposes) {
      for (const [{ certificate, roots }, ageMs] of [
        [before, 5 * dayMs],
        [after, 0],
      ] as const) {
        const atEpochMs = clock.epochMs() - ageMs;
        expect(opensslVerdict({ certificate, roots, purpose, atEpochMs })).toBe("OK");
      }
    }
    // Kept, not made again at each start.
    expect((await makeAuthority({ store, clock })).authority.expiresEpochMs).toBe(authority.expiresEpochMs);
  });

  test("root holds for ten years, through every intermediate", async () => {
    const { authority, clock, issue } = await makeAuthority();
    const { rootFingerprint } = authority;
    for (let year = 0; year < 9; year += 1) {
      clock.advance(365 * dayMs);
      const { certificate, roots } = await issue();
      const judged = { certificate, roots, purpose: "sslserver", atEpochMs: clock.epochMs() } as const;
      expect(opensslVerdict(judged)).toBe("OK");
    }
    expect(authority.rootFingerprint).toBe(rootFingerprint);
    expect(authority.warnings()).toEqual([]);
    clock.advance(200 * dayMs);
    await issue();
    expect(authority.warnings()).toEqual([expect.stringContaining("the mesh's root certificate ends on")]);
    clock.advance(166 * dayMs);
    expect(await reasonOf(issue())).toBe("authority-ended");
  });

  test("a store that is full does not end the issuing of certificates", async () => {
    const store = new MemoryStore();
    const { issue, logged } = await makeAuthority({ store });
    store.putIssuedCertificate = async () => {
      throw new StoreFailure("store-full", "there is no room left for it");
    };
    expect((await issue()).identity).toBe("spiffe://store.example/payments");
    expect(logged.at(-1)?.message).toBe("a certificate was issued and not recorded");
  });

  test("issued certificates are recorded with their serial numbers", async () => {
    const { issue, store, clock } = await makeAuthority();
    const { certificate, startsEpochMs, expiresEpochMs, identity } = await issue();
    const serial = new X509Certificate(certificate).serialNumber.toLowerCase();
    expect(await store.listIssuedCertificates(clock.epochMs())).toEqual([
      { serial, identity, node: null, startsEpochMs, expiresEpochMs },
    ]);
  });
});

describe("clock", () => {
  test("an older clock after a restart issues nothing until it is set, and no serial number twice", async () => {
    const { store, clock, issue } = await makeAuthority();
    clock.advance(3 * dayMs);
    const serials = [(await issue()).certificate];
    const behind = await makeAuthority({ store, clock, setBackMs: 2 * dayMs });
    expect(await reasonOf(behind.issue())).toBe("clock-behind");
    expect(behind.authority.warnings()).toEqual([
      expect.stringContaining("the clock of this machine is behind"),
    ]);
    expect(behind.logged.map(({ level }) => level)).toEqual(["error"]);
    const corrected = await makeAuthority({ store, clock });
    serials.push((await corrected.issue()).certificate);
    const numbers = serials.map((text) => new X509Certificate(text).serialNumber);
    expect(new Set(numbers).size).toBe(2);
  });

  test("a clock that stays behind is believed after an hour, and certificates begin before they end", async () => {
    const { store, clock, issue } = await makeAuthority();
    clock.advance(3 * dayMs);
    await issue();
    for (const setBackMs of [2 * dayMs, 5000 * dayMs]) {
      const behind = await makeAuthority({ store, clock, setBackMs });
      expect(await reasonOf(behind.issue())).toBe("clock-behind");
      clock.advance(hourMs - 1);
      expect(await reasonOf(behind.issue())).toBe("clock-behind");
      clock.advance(1);
      const { certificate, roots, startsEpochMs, expiresEpochMs } = await behind.issue();
      expect(expiresEpochMs - startsEpochMs).toBeGreaterThanOrEqual(dayMs);
      const judged = { certificate, roots, purpose: "sslserver", atEpochMs: startsEpochMs + 1000 } as const;
      expect(opensslVerdict(judged)).toBe("OK");
    }
  });

  test("a clock that was far ahead for a while leaves no authority that has not begun", async () => {
    const { store, clock } = await makeAuthority();
    const ahead = await makeAuthority({ store, clock, setBackMs: -400 * dayMs });
    await ahead.issue();
    const right = await makeAuthority({ store, clock });
    expect(await reasonOf(right.issue())).toBe("clock-behind");
    clock.advance(hourMs);
    const { certificate, roots } = await right.issue();
    const judged = { certificate, roots, purpose: "sslclient", atEpochMs: clock.epochMs() } as const;
    expect(opensslVerdict(judged)).toBe("OK");
  });

  test("a clock that is corrected by minutes changes nothing", async () => {
    const { store, clock, issue } = await makeAuthority();
    await issue();
    const behind = await makeAuthority({ store, clock, setBackMs: 9 * 60_000 });
    const { startsEpochMs, expiresEpochMs } = await behind.issue();
    expect(expiresEpochMs).toBeGreaterThan(startsEpochMs);
  });

  test("coordinator's own certificate is made with any clock, and holds by both", async () => {
    const { store, clock, issue } = await makeAuthority();
    clock.advance(3 * dayMs);
    await issue();
    const { authority } = await makeAuthority({ store, clock, setBackMs: 2 * dayMs });
    const names = { dns: ["localhost", "mesh.internal"], addresses: ["127.0.0.1", "::1"] };
    const { certificate } = await authority.issueServer(names);
    for (const atEpochMs of [clock.epochMs(), clock.epochMs() - 2 * dayMs]) {
      const judged = { certificate, roots: authority.roots, atEpochMs };
      expect(opensslVerdict({ ...judged, purpose: "sslserver" })).toBe("OK");
      expect(opensslVerdict({ ...judged, purpose: "sslclient" })).toContain("purpose");
    }
    expect(new X509Certificate(certificate).subjectAltName).toBe(
      "DNS:coordinator.mesh, DNS:localhost, DNS:mesh.internal, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
    );
  });
});
