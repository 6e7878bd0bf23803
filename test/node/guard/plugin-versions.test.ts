import { describe, expect, test } from "bun:test";
import { PluginVersions, type RollbackCause } from "../../../src/node/guard/plugin-versions.ts";
import type { Snapshot } from "../../../src/snapshot.ts";
import { code, snapshotWith } from "./fake-plugins.ts";

const name = "./tenant.ts";

function bench() {
  const forgotten: string[] = [];
  const versions = new PluginVersions((_plugin, version) => void forgotten.push(version));
  let nowMs = 0;
  /** Makes a config with these plugins live, as the supervisor does; returns the versions that then serve. */
  const save = (...plugins: Snapshot["plugins"]) => {
    nowMs += 1000;
    const checked = snapshotWith(plugins);
    const settled = versions.settle(checked);
    versions.live(checked, nowMs);
    return settled.plugins.map(({ version }) => version);
  };
  const rollBack = (cause: RollbackCause = "hang") =>
    versions.rollBack(snapshotWith(versions.serving.map((one) => code(one.version))), {
      plugin: name,
      cause,
      why: "it hung",
      sinceEpochMs: 5000,
      nowMs: 9000,
    });
  return { versions, forgotten, save, rollBack };
}

describe("PluginVersions.rollBack", () => {
  test("puts the version before it into the snapshot, and says what is held off", () => {
    const { versions, save, rollBack } = bench();
    save(code("a"));
    save(code("b"));
    const change = rollBack();
    expect(change?.snapshot.plugins).toEqual([code("a")]);
    const rollback = {
      plugin: name,
      cause: "hang",
      why: "it hung",
      heldOff: "b",
      serves: "a",
      sinceEpochMs: 5000,
    };
    expect(versions.rollbacks).toEqual([rollback as never]);
  });

  test("has nothing to go back to before a second version was saved", () => {
    const { save, rollBack } = bench();
    save(code("a"));
    expect(rollBack()).toBeNull();
  });

  test("goes on to the version before that, when the first one hangs too, and still holds off the newest", () => {
    const { versions, save, rollBack } = bench();
    for (const version of ["a", "b", "c"]) save(code(version));
    rollBack();
    expect(rollBack()?.rollback).toMatchObject({ heldOff: "c", serves: "a" });
    expect(save(code("c"))).toEqual(["a"]);
    expect(rollBack()).toBeNull();
    expect(versions.rollbacks).toHaveLength(1);
  });

  test("goes back to none that hung before, nor to a file of which only the newest text is there", () => {
    const { save, rollBack } = bench();
    save(code("a"));
    expect(rollBack()).toBeNull();
    save(code("b"));
    expect(rollBack()).toBeNull();
    save({ ...code("c"), source: { kind: "file", path: "/c.js" } });
    save(code("d"));
    expect(rollBack()).toBeNull();
  });

  test("undone, it does not try again", () => {
    const { versions, save, rollBack } = bench();
    save(code("a"));
    save(code("b"));
    rollBack()?.undo();
    expect([versions.rollbacks, versions.serving[0]?.version, versions.serving[0]?.former]).toEqual([
      [],
      "b",
      null,
    ]);
  });
});

describe("PluginVersions.settle", () => {
  test("keeps the rollback when the config alone is saved, and ends it when the plugin is", () => {
    const { versions, save, rollBack } = bench();
    save(code("a"));
    save(code("b"));
    rollBack();
    expect(save(code("b"))).toEqual(["a"]);
    expect(versions.rollbacks).toHaveLength(1);
    expect(save(code("c"))).toEqual(["c"]);
    expect([versions.rollbacks, versions.serving[0]?.former]).toEqual([[], "a"]);
  });

  test("ends it when the text that serves is saved again, and lets the other one come back after that", () => {
    const { versions, save, rollBack } = bench();
    save(code("a"));
    save(code("b"));
    rollBack();
    expect(save(code("a"))).toEqual(["a"]);
    expect(versions.rollbacks).toEqual([]);
    expect(save(code("b"))).toEqual(["b"]);
  });

  test("keeps the rollback while no config names the plugin", () => {
    const { save, rollBack } = bench();
    save(code("a"));
    save(code("b"));
    rollBack();
    save();
    expect(save(code("b"))).toEqual(["a"]);
  });
});

test("PluginVersions keeps three former versions and says which it let go of", () => {
  const { forgotten, save, rollBack } = bench();
  for (const version of ["a", "b", "c", "d", "e"]) save(code(version));
  expect(forgotten).toEqual(["a"]);
  rollBack();
  save(code("f"));
  expect(forgotten).toEqual(["a", "e"]);
  save();
  expect(forgotten).toEqual(["a", "e", "f", "d", "c", "b"]);
});
