/** Whose certificate is shown for a name, and what one handshake proves for another host. */
import { describe, expect, test } from "bun:test";
import type { Sockets, TlsTexts } from "../../../src/machine.ts";
import { ServerCertificates, serverCertificate } from "../../../src/runtime/tls/server-certificates.ts";
import type { ListenerCertificate } from "../../../src/snapshot.ts";

const made: TlsTexts[] = [];
const sockets = {
  tlsContext: (texts: TlsTexts) => {
    made.push(texts);
    return { native: texts };
  },
} as unknown as Sockets;

function entry(names: readonly string[], more: Partial<ListenerCertificate> = {}): ListenerCertificate {
  const text = names.join("+");
  return {
    certificate: `certificate ${text}`,
    key: `key ${text}`,
    files: { certificate: `${text}.pem`, key: `${text}.key` },
    names,
    expiresEpochMs: 0,
    place: { file: "clearway.yaml", line: 1 },
    clientCa: null,
    clientCaFile: null,
    clientAuth: "required",
    versionMin: "1.2",
    ...more,
  };
}

function certificates(...entries: readonly ListenerCertificate[]): ServerCertificates {
  return new ServerCertificates(entries.map((each) => serverCertificate(each, sockets)));
}

describe("ServerCertificates.find", () => {
  const listed = certificates(
    entry(["first.example"]),
    entry(["a.example", "*.b.example"]),
    entry(["exact.b.example", "a.example"]),
    entry([]),
  );
  const shown = (name: string | null) => listed.find(name).config.names.join();

  test("prefers the name itself, then a wildcard for one label, then the first entry", () => {
    for (const [name, names] of [
      ["a.example", "a.example,*.b.example"],
      ["exact.b.example", "exact.b.example,a.example"],
      ["any.b.example", "a.example,*.b.example"],
      ["b.example", "first.example"],
      ["x.any.b.example", "first.example"],
      [".b.example", "first.example"],
      ["*.b.example", "a.example,*.b.example"],
      ["unknown.example", "first.example"],
      ["__proto__", "first.example"],
      ["", "first.example"],
      [null, "first.example"],
    ] as const) {
      expect([name, shown(name)]).toEqual([name, names]);
    }
  });
});

describe("ServerCertificates.allows", () => {
  const listed = certificates(
    entry(["open.example"]),
    entry(["mine.example"], { clientCa: "mine" }),
    entry(["also-mine.example"], { clientCa: "mine" }),
    entry(["maybe.example"], { clientCa: "mine", clientAuth: "optional" }),
    entry(["other.example"], { clientCa: "other" }),
  );

  test("lets a caller ask for hosts that ask for the same proof, or none", () => {
    for (const [proved, host, allowed] of [
      ["mine.example", "also-mine.example", "yes"],
      ["mine.example", "open.example", "yes"],
      ["mine.example", null, "yes"],
      ["mine.example", "other.example", "no"],
      ["mine.example", "maybe.example", "no"],
      ["maybe.example", "mine.example", "no"],
      ["open.example", "mine.example", "no"],
      ["unknown.example", "mine.example", "no"],
      [null, "mine.example", "no"],
    ] as const) {
      expect([proved, host, listed.allows(proved, host)]).toEqual([proved, host, allowed]);
    }
  });
});

describe("ServerCertificates.madeFor", () => {
  const before = entry(["a.example"], { clientCa: "mine" });
  const listed = certificates(before);

  test("is what was made for an entry that says the same, wherever it stands now", () => {
    const moved = { ...before, place: { file: "other.yaml", line: 9 }, clientCaFile: "moved.pem" };
    expect(listed.madeFor(moved)).toBe(listed.find(null));
  });

  test("is nothing for one that says anything else", () => {
    for (const change of [
      { key: "another" },
      { certificate: "another" },
      { clientCa: "other" },
      { clientCa: null },
      { clientAuth: "optional" },
      { versionMin: "1.3" },
    ] as const) {
      expect(listed.madeFor({ ...before, ...change })).toBeNull();
    }
  });
});

test("serverCertificate asks for a certificate where there are authorities, as the config says", () => {
  const asked = (more: Partial<ListenerCertificate>) =>
    serverCertificate(entry(["a.example"], more), sockets).clientCertificate;
  expect(asked({})).toBe("ignored");
  expect(asked({ clientAuth: "optional" })).toBe("ignored");
  expect(asked({ clientCa: "mine" })).toBe("required");
  expect(asked({ clientCa: "mine", clientAuth: "optional" })).toBe("optional");
  expect(made.at(-1)).toEqual({
    certificate: "certificate a.example",
    key: "key a.example",
    ca: "mine",
    versionMin: "1.2",
  });
});
