import { describe, expect, test } from "bun:test";
import { type GivenTexts, readGivenAuthority } from "../../../src/coordinator/identity/given-authority.ts";
import { MemoryStore } from "../../../src/coordinator/store/memory.ts";
import { opensslFiles, opensslVerdict } from "../../openssl.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { dayMs, makeAuthority, reasonOf } from "./parts.ts";

const now = Date.now();
/** After everything that a test makes has begun. */
const soon = now + 600_000;
const ca = "basicConstraints=critical,CA:TRUE";
const signs = "keyUsage=critical,keyCertSign";
const p256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const p384 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"];

interface Wish {
  readonly key?: readonly string[];
  readonly extensions?: readonly string[];
  readonly days?: number;
}

/** Made by openssl, as users make theirs. */
function root({ key = p256, extensions = [ca, signs], days = 400 }: Wish = {}): GivenTexts {
  const added = extensions.flatMap((extension) => ["-addext", extension]);
  const made = ["-keyout", "key.pem", "-out", "ca.pem", "-nodes", "-subj", "/O=Store/CN=Store root"];
  const config = "[req]\ndistinguished_name=dn\n[dn]\n";
  const [certificates = "", text = ""] = opensslFiles(
    ["req", "-x509", "-config", "c", "-days", String(days), "-newkey", ...key, ...made, ...added],
    { c: config },
    ["ca.pem", "key.pem"],
  );
  return { certificates, key: text };
}

function below(
  above: GivenTexts,
  { key = p256, extensions = [ca, signs], days = 300 }: Wish = {},
): GivenTexts {
  const made = ["-keyout", "key.pem", "-out", "r.pem", "-nodes", "-subj", "/O=Store/CN=Store mesh"];
  const [request = "", text = ""] = opensslFiles(["req", "-new", "-newkey", ...key, ...made], {}, [
    "r.pem",
    "key.pem",
  ]);
  const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "e", "-out", "c.pem"];
  const [certificate = ""] = opensslFiles(
    ["x509", "-req", "-in", "r.pem", "-days", String(days), ...signed],
    { "r.pem": request, "ca.pem": above.certificates, "ca.key": above.key, e: extensions.join("\n") },
    ["c.pem"],
  );
  return { certificates: certificate + above.certificates, key: text };
}

/** Virtual time that begins now, as openssl's certificates do. */
function clockOfNow(): VirtualClock {
  const clock = new VirtualClock();
  clock.advance(now - clock.epochMs());
  return clock;
}

async function problemOf(texts: GivenTexts, at = now): Promise<string> {
  return readGivenAuthority(texts, at).then(
    () => "none",
    (error: Error) => error.message,
  );
}

describe("given authority", () => {
  const kinds = { "P-256": p256, "P-384": p384, RSA: ["rsa:2048"] };
  for (const [kind, key] of Object.entries(kinds)) {
    test(`nodes are vouched for below a root of the user's with a key of ${kind}`, async () => {
      const clock = clockOfNow();
      const given = await readGivenAuthority(root({ key }), soon);
      const { issue, authority, store } = await makeAuthority({ clock, given });
      const { certificate, roots } = await issue();
      const judged = { certificate, roots, atEpochMs: soon };
      expect(opensslVerdict({ ...judged, purpose: "sslserver" })).toBe("OK");
      expect(opensslVerdict({ ...judged, purpose: "sslclient" })).toBe("OK");
      expect((await store.readSecret("authority"))?.text).toContain('"rootKey":null');
      // Without it the next start goes on with the intermediate that was made.
      const next = await makeAuthority({ clock, store });
      expect(next.authority.rootFingerprint).toBe(authority.rootFingerprint);
      expect(opensslVerdict({ ...(await next.issue()), purpose: "sslserver", atEpochMs: soon })).toBe("OK");
    });
  }

  test("nodes are vouched for below an authority that has another one above it", async () => {
    const clock = clockOfNow();
    const given = await readGivenAuthority(below(root()), soon);
    const { issue } = await makeAuthority({ clock, given });
    const { certificate, roots, expiresEpochMs } = await issue();
    expect(certificate.match(/BEGIN CERTIFICATE/g)?.length).toBe(3);
    expect(opensslVerdict({ certificate, roots, purpose: "sslserver", atEpochMs: soon })).toBe("OK");
    expect(expiresEpochMs).toBeLessThan(now + 2 * dayMs);
  });

  test("intermediate never outlives the user's authority, and is renewed with it alone", async () => {
    const [clock, store] = [clockOfNow(), new MemoryStore()];
    const given = await readGivenAuthority(root({ days: 40 }), soon);
    const { authority } = await makeAuthority({ clock, store, given });
    expect(authority.expiresEpochMs).toBe(given.expiresEpochMs);
    clock.advance(35 * dayMs);
    const without = await makeAuthority({ clock, store });
    expect(without.logged.map(({ message }) => message)).toEqual([
      "the mesh's authority ends: start the coordinator with --ca-cert and --ca-key",
    ]);
    clock.advance(6 * dayMs);
    expect(await reasonOf(without.issue())).toBe("authority-ended");
  });

  test("another authority than the store's is refused", async () => {
    const clock = clockOfNow();
    const [first, second] = [root(), root()];
    const own = await makeAuthority({ clock });
    const given = await readGivenAuthority(first, soon);
    expect(await reasonOf(makeAuthority({ clock, store: own.store, given }))).toBe("other-authority");
    const { store } = await makeAuthority({ clock, given });
    const other = await readGivenAuthority(second, soon);
    expect(await reasonOf(makeAuthority({ clock, store, given: other }))).toBe("other-authority");
  });

  test("what is wrong with it is said, with the option", async () => {
    const good = root();
    const other = root();
    expect(await problemOf(good, soon)).toBe("none");
    expect(await problemOf({ ...good, key: other.key }, soon)).toContain("--ca-key: it does not belong to");
    expect(await problemOf({ ...good, key: root({ key: p384 }).key }, soon)).toContain("does not belong");
    expect(await problemOf(good, now + 401 * dayMs)).toContain("ended on");
    expect(await problemOf(good, now - 100 * dayMs)).toContain("begins on");
    expect(await problemOf({ ...good, certificates: "" })).toContain("no -----BEGIN CERTIFICATE-----");
    const damaged = good.certificates.replace(/\n[^\n]{60}/, "\nAAAA");
    expect(await problemOf({ ...good, certificates: damaged })).toContain("--ca-cert");
    const leaf = root({ extensions: ["basicConstraints=critical,CA:FALSE"] });
    expect(await problemOf(leaf, soon)).toContain("is no authority");
    const bound = root({ extensions: [`${ca},pathlen:0`] });
    expect(await problemOf(bound, soon)).toContain("has the path length 0; wanted at least 1");
    const usage = root({ extensions: [ca, "keyUsage=critical,digitalSignature"] });
    expect(await problemOf(usage, soon)).toContain("may not sign certificates");
    const [alone = ""] =
      below(good).certificates.match(/-----BEGIN[\s\S]*?-----END CERTIFICATE-----\n/) ?? [];
    const rootless = { certificates: alone, key: below(good).key };
    expect(await problemOf(rootless, soon)).toContain("is the last one and no root");
    const mixed = { certificates: alone + other.certificates, key: good.key };
    expect(await problemOf(mixed, soon)).toContain("is not signed by the one that follows it");
    const tight = below(root({ extensions: [`${ca},pathlen:1`] }));
    expect(await problemOf(tight, soon)).toContain("has the path length 1; wanted at least 2");
  });

  test("keys of other forms are refused with the command that converts them", async () => {
    const good = root();
    const [sec1 = ""] = opensslFiles(["ec", "-in", "k", "-out", "o"], { k: good.key }, ["o"]);
    expect(await problemOf({ ...good, key: sec1 }, soon)).toContain("openssl pkcs8 -topk8 -nocrypt");
    const encrypt = ["pkcs8", "-topk8", "-in", "k", "-out", "o", "-passout", "pass:x"];
    const [encrypted = ""] = opensslFiles(encrypt, { k: good.key }, ["o"]);
    expect(await problemOf({ ...good, key: encrypted }, soon)).toContain("encrypted");
    const small = root({ key: ["rsa:1024"] });
    expect(await problemOf(small, soon)).toContain("RSA of 2048 bits or more");
  });
});
