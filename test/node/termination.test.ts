import { expect, test } from "bun:test";
import { Termination } from "../../src/node/termination.ts";

test("Termination: the second signal ends a node now", () => {
  const termination = new Termination();
  expect(termination.stopping).toBe(false);
  expect(termination.hear("SIGINT")).toBe("in order");
  expect([termination.stopping, termination.signal]).toEqual([true, "SIGINT"]);
  expect(termination.hear("command")).toBe("in order");
  expect(termination.hear("SIGTERM")).toBe("now");
});

test("Termination: the first signal after a command ended by itself cuts nothing off, the second does", () => {
  const termination = new Termination();
  expect(["command", "SIGTERM", "SIGTERM"].map((cause) => termination.hear(cause as "command"))).toEqual([
    "in order",
    "in order",
    "now",
  ]);
});
