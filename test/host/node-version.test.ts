import { expect, test } from "bun:test";
import { nodeTooOld } from "../../src/host/node-version.ts";

// Seen: on Node 20 a node ended with a stack trace, at the first Promise.withResolvers.
test("nodeTooOld tells who runs the program on Node 20 what it needs", () => {
  expect(nodeTooOld({ node: "20.20.2" })).toBe(
    "this is Node 20.20.2: wanted Node 22 or newer, or the built program dist/clearway, which needs none",
  );
  expect(nodeTooOld({ node: "9.11.2" })).toContain("this is Node 9.11.2");
  for (const versions of [{ node: "22.0.0" }, { node: "100.1.0" }, { node: "20.11.1", deno: "2.9.6" }]) {
    expect(nodeTooOld(versions)).toBeNull();
  }
});
