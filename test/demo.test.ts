/** The demo as a person starts it: the real program, real sockets, real seconds. */
import { describe, expect, test } from "bun:test";
import { type Running, startClearway, until } from "./program.ts";

const timeoutMs = 60_000;

function urlOf(name: string, { output }: Running): string {
  return new RegExp(`^ {2}${name} +(\\S+)`, "m").exec(output())?.[1] ?? "";
}

const isGone = (url: string) =>
  fetch(url).then(
    () => false,
    () => true,
  );

const lastLine = ({ output }: Running) => output().trimEnd().split("\n").at(-1) ?? "";

describe("clearway demo", () => {
  test(
    "--for 12s: every hop is mTLS, only storefront may pay, two kills lose nothing, a change is live, a slip is refused",
    async () => {
      const demo = startClearway(["demo", "--for", "12s"]);
      expect({ code: await demo.ended, output: demo.output() }).toMatchObject({ code: 0 });
      expect(lastLine(demo)).toMatch(/^[\d,]+ requests in \d+\.\d s, 0 failed$/);
      for (const what of [
        "every hop was mTLS",
        "only storefront may pay",
        "two instances were killed",
        "products 90/10",
        "mesh.yaml was saved",
      ]) {
        expect(demo.output()).toMatch(new RegExp(`${what} +ok `));
      }
      expect(demo.output()).toMatch(/refused, version 2 goes on: mesh\.yaml:\d+:\d+ .*storfront/);
      expect(await isGone(urlOf("gateway", demo))).toBe(true);
    },
    timeoutMs,
  );

  test(
    "ends at Ctrl-C with its summary",
    async () => {
      const demo = startClearway(["demo"]);
      await until(demo.output, (text) => /requests {3}0 failed/.test(text));
      expect({ code: await demo.stop("SIGINT"), output: demo.output() }).toMatchObject({ code: 0 });
      expect(lastLine(demo)).toEndWith(" 0 failed");
      expect(await isGone(urlOf("gateway", demo))).toBe(true);
    },
    timeoutMs,
  );

  test("refuses a time that is none", async () => {
    const demo = startClearway(["demo", "--for", "soon"]);
    expect(await demo.ended).toBe(1);
    expect(demo.output()).toContain("soon");
  });
});
