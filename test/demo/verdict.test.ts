/** What the demo says of what it saw. */
import { describe, expect, test } from "bun:test";
import type { Failure } from "../../src/demo/shoppers.ts";
import {
  changesFinding,
  hopsFinding,
  lossesFinding,
  policyFinding,
  splitFinding,
} from "../../src/demo/verdict.ts";

const storefront = "spiffe://store.example/storefront";
const accounts = "spiffe://store.example/accounts";
const callers = (counts: Record<string, number>) => new Map([["payments", new Map(Object.entries(counts))]]);
const refused = new Map([["accounts", { tried: 3, refused: 3, answer: "403 policy-denied" }]]);

describe("hopsFinding", () => {
  test("is right when every request came with an identity of the store", () => {
    expect(hopsFinding(callers({ [storefront]: 9 }))).toMatchObject({
      outcome: "ok",
      text: "9 of 9 requests came with a proved identity",
    });
  });

  test("is wrong for one request without, for one of elsewhere, and for none at all", () => {
    for (const counts of [{ [storefront]: 9, nobody: 1 }, { "spiffe://other.example/storefront": 1 }, {}]) {
      expect(hopsFinding(callers(counts as Record<string, number>)).outcome).toBe("failed");
    }
  });
});

describe("policyFinding", () => {
  test("is right when storefront was let in and all others were refused", () => {
    const finding = policyFinding(callers({ [storefront]: 7 }), refused);
    expect(finding.outcome).toBe("ok");
    expect(finding.text).toBe("storefront 7 times; 3 of 3 others refused (accounts: 403 policy-denied)");
  });

  test("is wrong when somebody else was let in, storefront never was, or nobody tried", () => {
    const lucky = new Map([["accounts", { tried: 3, refused: 2, answer: "403" }]]);
    expect(policyFinding(callers({ [storefront]: 7, [accounts]: 1 }), refused).outcome).toBe("failed");
    expect(policyFinding(callers({ [storefront]: 7 }), lucky).outcome).toBe("failed");
    expect(policyFinding(callers({}), refused).outcome).toBe("failed");
    expect(policyFinding(callers({ [storefront]: 7 }), new Map()).outcome).toBe("failed");
  });
});

describe("lossesFinding", () => {
  const failure = (kind: Failure["kind"], atMs: number): Failure => ({ errand: "", kind, problem: "", atMs });
  const losses = { killedAtMs: 1000, repeatableSent: 50, onceSent: 20 };

  test("says what was in flight, and is right with it", () => {
    const finding = lossesFinding({ ...losses, failures: [failure("once", 1100)] });
    expect(finding.outcome).toBe("ok");
    expect(finding.text).toBe(
      "of 50 requests that may be repeated 0 lost; of 20 others 1 were in flight on them",
    );
  });

  test("is wrong when a request that may be repeated was lost", () => {
    expect(lossesFinding({ ...losses, failures: [failure("repeatable", 1100)] }).outcome).toBe("failed");
  });

  test("is not tried without a kill", () => {
    expect(lossesFinding({ ...losses, killedAtMs: null, failures: [] }).outcome).toBe("not tried");
  });
});

describe("splitFinding", () => {
  const counts = (v1: number, v2: number) => new Map(Object.entries({ v1, v2 }));

  test("takes what chance makes of a share, and no more", () => {
    expect(splitFinding([90, 10], counts(920, 80)).outcome).toBe("ok");
    expect(splitFinding([90, 10], counts(820, 180)).outcome).toBe("failed");
    expect(splitFinding([60, 40], counts(900, 100)).outcome).toBe("failed");
  });

  test("says nothing about a handful", () => {
    expect(splitFinding([90, 10], counts(5, 5)).outcome).toBe("not tried");
  });
});

test("changesFinding wants one change and one refusal", () => {
  expect(changesFinding({ wanted: "yes", live: 1, refused: 1 }).outcome).toBe("ok");
  expect(changesFinding({ wanted: "yes", live: 1, refused: 0 }).outcome).toBe("failed");
  expect(changesFinding({ wanted: "yes", live: 0, refused: 1 }).outcome).toBe("failed");
  expect(changesFinding({ wanted: "no", live: 0, refused: 0 }).outcome).toBe("not tried");
});
