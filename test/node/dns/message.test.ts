import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeReply, encodeQuestion } from "../../../src/node/dns/message.ts";
import { type Entry, encodeReply, entryTypes, type Named } from "./replies.ts";

const question = { id: 0x1234, name: "orders.test", type: entryTypes.A };

function decodedRecords(...entries: readonly Entry[]) {
  const answers = entries.map((entry) => ({ name: question.name, entry }));
  return decodeReply(encodeReply({ ...question, answers }))?.answers;
}

describe("encodeQuestion", () => {
  test("encodeQuestion writes a standard query that wants recursion", () => {
    expect(encodeQuestion(0x1234, { name: "a.bc", type: "AAAA" })?.toString("hex")).toBe(
      "123401000001000000000000" + "0161026263" + "00" + "001c0001",
    );
  });

  test("encodeQuestion refuses names that no message can hold", () => {
    const label = "x".repeat(63);
    const longest = `${label}.${label}.${label}.${"y".repeat(61)}`;
    expect(encodeQuestion(1, { name: longest, type: "A" })).not.toBeNull();
    for (const name of ["", "a..b", `${label}x.test`, `${longest}y`]) {
      expect(encodeQuestion(1, { name, type: "A" })).toBeNull();
    }
  });
});

describe("decodeReply", () => {
  test("decodeReply reads what encodeReply wrote, whatever it is", () => {
    const label = fc.stringMatching(/^[a-z0-9_-]{1,12}$/);
    const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
    const ttl = fc.nat(0x7fff_ffff);
    const number = fc.nat(0xffff);
    const entry: fc.Arbitrary<Entry> = fc.oneof(
      fc.record({ type: fc.constant("A" as const), ttl, address: fc.ipV4() }),
      fc.record({ type: fc.constant("CNAME" as const), ttl, target: name }),
      fc.record({
        type: fc.constant("SRV" as const),
        ttl,
        priority: number,
        weight: number,
        port: number,
        target: fc.oneof(name, fc.constant("")),
      }),
    );
    const named = fc.array(fc.record({ name, entry }), { maxLength: 6 });
    fc.assert(
      fc.property(number, name, named, named, (id, asked, answers, additional) => {
        const reply = decodeReply(encodeReply({ id, name: asked, type: 1, code: 3, answers, additional }));
        const flat = ({ name: owner, entry: { ttl: ttlSeconds, ...rest } }: Named) => ({
          name: owner,
          ttlSeconds,
          ...rest,
        });
        expect(reply).toEqual({
          ...{ id, name: asked, type: 1, code: 3, truncated: "no", authorities: [] },
          answers: answers.map(flat) as never,
          additional: additional.map(flat) as never,
        });
      }),
      { numRuns: 300 },
    );
  });

  test("decodeReply survives every cut and every changed byte of a message", () => {
    const whole = encodeReply({
      ...question,
      answers: [
        { name: "orders.test", entry: { type: "CNAME", ttl: 5, target: "a.test" } },
        { name: "a.test", entry: { type: "A", ttl: 5, address: "10.0.0.1" } },
        { name: "a.test", entry: { type: "SRV", ttl: 5, priority: 1, weight: 2, port: 3, target: "b.test" } },
      ],
      authorities: [{ name: "test", entry: { type: "SOA", ttl: 9, minimum: 7 } }],
    });
    expect(decodeReply(whole)?.answers.length).toBe(3);
    for (let end = 0; end < whole.length; end++) expect(decodeReply(whole.subarray(0, end))).toBeNull();
    for (let at = 0; at < whole.length; at++) {
      for (let value = 0; value < 256; value++) {
        const changed = Buffer.from(whole);
        changed[at] = value;
        decodeReply(changed);
      }
    }
  });

  test("decodeReply survives any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeReply(Buffer.from(bytes));
        decodeReply(Buffer.concat([encodeReply(question).subarray(0, 6), Buffer.from(bytes)]));
      }),
      { numRuns: 2000 },
    );
  });

  test("decodeReply refuses names that point forward, at themselves or in a circle", () => {
    const head = Buffer.from("123481800001000100000000", "hex");
    const asked = Buffer.from("0161" + "00" + "00010001", "hex");
    const data = Buffer.from("00010001" + "00000005" + "0004" + "0a000001", "hex");
    const owner = (hex: string) => decodeReply(Buffer.concat([head, asked, Buffer.from(hex, "hex"), data]));
    expect(owner("c00c")?.answers).toMatchObject([{ name: "a" }]);
    expect(owner("0162c00c")?.answers).toMatchObject([{ name: "b.a" }]);
    // The owner stands at byte 19.
    for (const hex of ["c013", "c0ff", "c01f", "0162c013", "4161", "8061"]) expect(owner(hex)).toBeNull();
  });

  test("decodeReply refuses queries, other operations and other than one question", () => {
    const bytes = encodeReply(question);
    const changed = (at: number, value: number) => {
      const copy = Buffer.from(bytes);
      copy[at] = value;
      return decodeReply(copy);
    };
    expect(decodeReply(bytes)).not.toBeNull();
    expect([changed(2, 0x01), changed(2, 0xa1), changed(5, 0), changed(5, 2)]).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });

  test("decodeReply reads no records of a truncated message, wherever it was cut", () => {
    const answers = [{ name: "orders.test", entry: { type: "A", ttl: 1, address: "10.0.0.1" } }] as const;
    const bytes = encodeReply({ ...question, truncated: true, answers });
    expect(decodeReply(bytes.subarray(0, bytes.length - 3))).toMatchObject({ truncated: "yes", answers: [] });
  });

  test("decodeReply compares names without case, and escapes what no asked name has", () => {
    const entry = { type: "CNAME", ttl: 1, target: "A b.Test" } as const;
    const reply = decodeReply(
      encodeReply({ ...question, name: "ORDERS.Test", answers: [{ name: "X", entry }] }),
    );
    expect(reply).toMatchObject({ name: "orders.test", answers: [{ name: "x", target: "a\\032b.test" }] });
  });

  test("decodeReply writes IPv6 addresses as RFC 5952 does", () => {
    const written = (address: string) => decodedRecords({ type: "AAAA", ttl: 1, address })?.[0];
    for (const [address, wanted] of [
      ["2001:0db8::0001", "2001:db8::1"],
      ["0:0:0:0:0:0:0:0", "::"],
      ["0:0:0:0:0:0:0:1", "::1"],
      ["fe80:0:0:0:0:0:0:0", "fe80::"],
      ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
      ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
      ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ] as const) {
      expect(written(address)).toMatchObject({ address: wanted });
    }
  });

  test("decodeReply takes a time to live with the highest bit for 0 (RFC 2181)", () => {
    expect(decodedRecords({ type: "A", ttl: 0x8000_0000, address: "10.0.0.1" })).toMatchObject([
      { ttlSeconds: 0 },
    ]);
  });

  test("decodeReply leaves out records of other types and classes", () => {
    const bytes = encodeReply({
      ...question,
      answers: [
        { name: "orders.test", entry: { type: "A", ttl: 1, address: "10.0.0.1" } },
        { name: "orders.test", entry: { type: "A", ttl: 1, address: "10.0.0.2" } },
      ],
    });
    const start = bytes.length - 32;
    bytes.writeUInt16BE(16, start + 2);
    expect(decodeReply(bytes)?.answers).toMatchObject([{ address: "10.0.0.2" }]);
    bytes.writeUInt16BE(3, bytes.length - 16 + 4);
    expect(decodeReply(bytes)?.answers).toEqual([]);
  });
});
