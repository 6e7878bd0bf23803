import { describe, expect, test } from "bun:test";
import { whoGrows, whoHangs } from "../../../src/node/guard/blame.ts";
import { trialMs } from "../../../src/node/guard/error-watch.ts";
import { serving } from "./fake-plugins.ts";

const old = serving("1", { name: "./old.ts", changed: "no" });
const changed = serving("2", { name: "./changed.ts", sinceMs: 10 });
const newest = serving("3", { name: "./newest.ts", sinceMs: 20 });
const all = [old, changed, newest];
const left = (plugin: typeof old) => ({ code: plugin, state: "left" }) as const;

describe("whoHangs", () => {
  test("is the plugin that runs, whenever it was changed and however busy the process was", () => {
    const entered = { code: old, state: "running" } as const;
    expect(whoHangs(all, { entered, busyShare: 0 }, 30)).toMatchObject({
      name: "./old.ts",
      certainty: "enough",
    });
  });

  test("is nobody in a process that did nothing: it was stopped, or waits", () => {
    expect(whoHangs(all, { entered: left(changed), busyShare: 0.04 }, 30)).toBeNull();
  });

  test("is the plugin that ran last when that was changed lately, else the one that was changed last", () => {
    const who = (entered: ReturnType<typeof left> | null) =>
      whoHangs(all, { entered, busyShare: 1 }, 30)?.name;
    expect([who(left(changed)), who(left(old)), who(null)]).toEqual([
      "./changed.ts",
      "./newest.ts",
      "./newest.ts",
    ]);
  });

  test("is only suspected when nothing was changed lately, and nobody when no plugin ever ran", () => {
    const facts = { entered: left(old), busyShare: null };
    expect(whoHangs(all, facts, 20 + trialMs)).toMatchObject({ name: "./old.ts", certainty: "too little" });
    expect(whoHangs(all, { ...facts, entered: null }, 20 + trialMs)).toBeNull();
  });
});

describe("whoGrows", () => {
  const memory = { limitBytes: 1000, baseBytes: 400 };

  test("is the plugin changed last when more than half of the limit came after that", () => {
    expect(whoGrows(all, { ...memory, residentBytes: 901 }, 30)).toMatchObject({
      name: "./newest.ts",
      certainty: "enough",
    });
    expect(whoGrows(all, { ...memory, residentBytes: 900 }, 30)).toMatchObject({ certainty: "too little" });
  });

  test("is nobody when nothing was changed lately", () => {
    expect(whoGrows([old], { ...memory, residentBytes: 5000 }, 30)).toBeNull();
  });
});
