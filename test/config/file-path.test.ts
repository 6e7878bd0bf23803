import { expect, test } from "bun:test";
import { directoryOf, joinPath, seenFrom } from "../../src/config/file-path.ts";

test("directoryOf gives what stands before the last slash", () => {
  expect(["a.yaml", "b/a.yaml", "/a.yaml", "/c/b/a.yaml", "./a"].map(directoryOf)).toEqual([
    "",
    "b",
    "/",
    "/c/b",
    ".",
  ]);
});

test("joinPath sees a relative path from the directory, and leaves an absolute one", () => {
  expect(joinPath("conf", "a.yaml")).toBe("conf/a.yaml");
  expect(joinPath("", "a.yaml")).toBe("a.yaml");
  expect(joinPath("/etc", "a.yaml")).toBe("/etc/a.yaml");
  expect(joinPath("/etc", "/srv/a.yaml")).toBe("/srv/a.yaml");
});

test("joinPath goes up as far as there is a way up", () => {
  expect(joinPath("conf/sub", "../a.yaml")).toBe("conf/a.yaml");
  expect(joinPath("conf", "../../a.yaml")).toBe("../a.yaml");
  expect(joinPath("/etc", "../../../a.yaml")).toBe("/a.yaml");
  expect(joinPath("a/./b//", ".")).toBe("a/b");
});

test("seenFrom says where a path is from inside a folder", () => {
  for (const [folder, path, seen] of [
    ["", "plugins/a.ts", "./plugins/a.ts"],
    ["conf", "conf/plugins/a.ts", "./plugins/a.ts"],
    ["conf", "plugins/a.ts", "../plugins/a.ts"],
    ["conf/deep", "conf/a.ts", "../a.ts"],
    ["../one", "../two/a.ts", "../two/a.ts"],
    ["/etc/clearway", "/etc/clearway/a.ts", "./a.ts"],
    ["/etc/clearway", "/etc/plugins/a.ts", "../plugins/a.ts"],
    ["/etc/clearway", "/opt/a.ts", "/opt/a.ts"],
    ["conf", "/opt/a.ts", "/opt/a.ts"],
  ] as const) {
    expect([folder, path, seenFrom(folder, path)]).toEqual([folder, path, seen]);
  }
});
