import { expect, test } from "bun:test";
import { problemPaint, styledPaint } from "../../src/cli/paint.ts";

test("problemPaint colours on a terminal only, and not under NO_COLOR or a dumb one", () => {
  const painted = (interactive: "yes" | "no", environment: Record<string, string>) =>
    problemPaint({ interactive: interactive === "yes", environment }).mark("x");
  expect(painted("yes", {})).toBe("\u001b[31mx\u001b[39m");
  expect(painted("yes", { NO_COLOR: "" })).toBe("\u001b[31mx\u001b[39m");
  expect(painted("yes", { NO_COLOR: "1" })).toBe("x");
  expect(painted("yes", { TERM: "dumb" })).toBe("x");
  expect(painted("no", {})).toBe("x");
});

test("styledPaint knows its styles", () => {
  expect(styledPaint({ interactive: true, environment: {} })("bold", "x")).toBe("\u001b[1mx\u001b[22m");
});
