import { expect, test } from "bun:test";
import { ALIASES_MAX, answerOf } from "../../../src/node/dns/answer.ts";
import { decodeReply, type Question } from "../../../src/node/dns/message.ts";
import { type Entry, encodeReply, entryTypes, type Written } from "./replies.ts";

const question: Question = { name: "orders.test", type: "A" };

function answer(reply: Partial<Written>, asked = question) {
  const bytes = encodeReply({ id: 1, name: asked.name, type: entryTypes[asked.type], ...reply });
  return answerOf(decodeReply(bytes)!, asked);
}

const address = (name: string, last: number, ttl = 60) => ({
  name,
  entry: { type: "A", ttl, address: `10.0.0.${last}` } as const,
});
const alias = (name: string, target: string, ttl = 60) => ({
  name,
  entry: { type: "CNAME", ttl, target } as const,
});

test("answerOf follows aliases, in whatever order they stand, and takes the smallest time to live", () => {
  const answers = [address("c.test", 1, 50), alias("b.test", "c.test", 7), alias("orders.test", "b.test", 9)];
  expect(answer({ answers })).toMatchObject({
    kind: "records",
    ttlSeconds: 7,
    records: [{ address: "10.0.0.1" }],
  });
});

test("answerOf believes no record of another name or type", () => {
  const other: Entry = { type: "AAAA", ttl: 1, address: "::1" };
  const answers = [
    address("bank.test", 1),
    alias("x.test", "bank.test"),
    { name: "orders.test", entry: other },
  ];
  expect(answer({ answers })).toEqual({ kind: "nothing", why: "it has no A record", ttlSeconds: null });
});

test("answerOf ends in a circle of aliases, and in a chain beyond its bound", () => {
  const circle = [alias("orders.test", "b.test"), alias("b.test", "orders.test")];
  expect(answer({ answers: circle })).toMatchObject({
    kind: "failed",
    why: expect.stringContaining("CNAMEs"),
  });
  const chain = (length: number) => [
    alias("orders.test", "a1"),
    ...Array.from({ length: length - 1 }, (_, at) => alias(`a${at + 1}`, `a${at + 2}`)),
    address(`a${length}`, 1),
  ];
  expect(answer({ answers: chain(ALIASES_MAX) }).kind).toBe("records");
  expect(answer({ answers: chain(ALIASES_MAX + 1) }).kind).toBe("failed");
});

test("answerOf tells a missing name from a missing record, and how long that holds (RFC 2308)", () => {
  const authority = (ttl: number, minimum: number) => [
    { name: "test", entry: { type: "SOA", ttl, minimum } as const },
  ];
  expect(answer({ code: 3, authorities: authority(60, 5) })).toEqual({
    kind: "nothing",
    why: "there is no such name (NXDOMAIN)",
    ttlSeconds: 5,
  });
  expect(answer({ authorities: authority(3, 900) })).toMatchObject({ kind: "nothing", ttlSeconds: 3 });
  expect(answer({ answers: [alias("orders.test", "gone.test")], code: 3 })).toMatchObject({
    kind: "nothing",
  });
});

test("answerOf takes every other code for a failure of the server, and names it", () => {
  expect(answer({ code: 2 })).toEqual({ kind: "failed", why: "answered SERVFAIL" });
  expect(answer({ code: 5 })).toEqual({ kind: "failed", why: "answered REFUSED" });
  expect(answer({ code: 9, answers: [address("orders.test", 1)] })).toEqual({
    kind: "failed",
    why: "answered with code 9",
  });
});

test("answerOf hands on the addresses that came along", () => {
  const asked: Question = { name: "_http._tcp.test", type: "SRV" };
  const entry = { type: "SRV", ttl: 5, priority: 1, weight: 2, port: 80, target: "a.test" } as const;
  const additional = [address("a.test", 1, 3)];
  expect(answer({ answers: [{ name: asked.name, entry }], additional }, asked)).toMatchObject({
    records: [{ port: 80, target: "a.test" }],
    additional: [{ name: "a.test", address: "10.0.0.1", ttlSeconds: 3 }],
  });
});
