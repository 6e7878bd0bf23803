/** What the README and the documents show is true: configs check, the filter loads, links lead somewhere. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { filters as filterRegistry } from "../src/filters/index.ts";
import type { FilterDefinition } from "../src/plugin.ts";
import { root, startClearway } from "./program.ts";

const readme = readFileSync(join(root, "README.md"), "utf8");

/** The first of this language, or the one with such a text in it. */
function block(language: string, text = ""): string {
  const blocks = readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"));
  return [...blocks].map(([, inside = ""]) => inside).find((inside) => inside.includes(text)) ?? "";
}

async function inFolder<Result>(files: Record<string, string>, run: (folder: string) => Promise<Result>) {
  const folder = await mkdtemp(join(tmpdir(), "clearway-docs-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function checked(
  config: string,
  files: Record<string, string> = {},
): Promise<{ code: number; output: string }> {
  return inFolder({ "clearway.yaml": config, ...files }, async (folder) => {
    const check = startClearway(["check", "-c", "clearway.yaml"], { folder });
    return { code: await check.ended, output: check.output() };
  });
}

describe("README", () => {
  test("its config has no problem", async () => {
    expect(await checked(block("yaml", "listeners:"))).toMatchObject({ code: 0 });
    expect(await checked(block("yaml", "trustDomain"))).toMatchObject({ code: 0 });
  });

  test("its problems look as the program shows them", async () => {
    const shown = /^\$ npx clearway check -c clearway\.yaml\n(.*?)^```$/ms.exec(readme)?.[1] ?? "missing";
    const config = `listeners:
  web:
    bind: 127.0.0.1:8080
    routes:
      - match: { path: /api/* }
        timeout: 2 sec
        to: orderz
services:
  orders:
    endpoints: [127.0.0.1:9000]
`;
    expect(await checked(config)).toEqual({ code: 1, output: shown });
  });

  test("its filter is a whole one", async () => {
    const source = block("ts").replace("clearway/plugin", join(root, "src/plugin.ts"));
    const filter = await inFolder({ "stamp.ts": source }, async (folder) => {
      const loaded = (await import(join(folder, "stamp.ts"))) as { default: FilterDefinition };
      return loaded.default;
    });
    expect(filter.name).toBe("stamp");
    const set: string[][] = [];
    const context = { header: (...header: string[]) => set.push(header) };
    const run = filter.middleware?.({ header: "x-stamp", value: "1" }, undefined as never);
    await run?.(context as never, async () => void set.push(["next"]));
    expect(set).toEqual([["next"], ["x-stamp", "1"]]);
  });

  test("its filter stands in a config as it says", async () => {
    const listener = "listeners:\n  web:\n    bind: 127.0.0.1:8080\n";
    const filters = block("yaml", "stamp.ts").replaceAll(/^/gm, "    ");
    const files = { "plugins/stamp.ts": block("ts") };
    expect(await checked(listener + filters, files)).toMatchObject({ code: 0 });
    const wrong = filters.replace("value: blue", "valu: blue");
    expect((await checked(listener + wrong, files)).output).toContain("did you mean `value`?");
  });

  test("names every built-in filter, and no other", () => {
    const [table = ""] = /^\| \| filters \|\n.*?\n\n/ms.exec(readme) ?? [];
    const named = [...table.matchAll(/`([a-z-]+)`/g)].map(([, name = ""]) => name);
    expect(named.sort()).toEqual([...filterRegistry.keys()].sort());
  });
});

describe("documents", () => {
  const places = ["*.md", "docs/**/*.md", "examples/**/*.md"];
  const paths = places.flatMap((place) => [...new Bun.Glob(place).scanSync({ cwd: root })]);

  test("are found", () => {
    expect(paths).toContain("README.md");
    expect(paths).toContain("docs/architecture.md");
  });

  test("link only to what is there", () => {
    const broken = paths.flatMap((path) => {
      const text = readFileSync(join(root, path), "utf8");
      return [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
        .map(([, target = ""]) => target)
        .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(path), target)))
        .map((target) => `${path}: ${target}`);
    });
    expect(broken).toEqual([]);
  });

  test("docs/architecture.md names only files that are there", () => {
    const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
    const named = [...text.matchAll(/`([a-z0-9/-]+\.ts)`/g)].map(([, path = ""]) => path);
    expect(named.length).toBeGreaterThan(30);
    const places = ["", "src", "src/runtime"];
    expect(named.filter((path) => !places.some((place) => existsSync(join(root, place, path))))).toEqual([]);
  });
});
