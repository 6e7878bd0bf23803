import { describe, expect, test } from "bun:test";
import { configPage } from "../../build/reference/config-page.ts";
import { pages } from "../../build/reference/pages.ts";
import { rowsOf, table } from "../../build/reference/rows.ts";
import { wordsOf } from "../../build/reference/words.ts";
import { filters } from "../../src/filters/index.ts";
import { duration, key, percent, secret, service, size, z } from "../../src/plugin.ts";

describe("docs/reference", () => {
  test("links only to sections that are there", async () => {
    for (const { make } of pages) {
      const text = await make();
      const titles = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) => anchor(title));
      const links = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, target = ""]) => target);
      expect(links.length).toBeGreaterThan(10);
      expect(links.filter((target) => !titles.includes(target))).toEqual([]);
    }
  });

  test("has the limits with the defaults that hold", () => {
    const page = configPage();
    expect(page).toContain("| `headerBytes` | [a size](#values) from `1KiB` to `1MiB` | `60KiB` |");
    expect(page).toContain("| `routeTimeout` | [a duration](#values) from `1ms` to `24h` | `15s` |");
    const [limits = ""] = /^## limits\n.*?(?=^## )/ms.exec(page) ?? [];
    const rows = limits.split("\n").filter((line) => line.startsWith("| `"));
    expect(rows.length).toBeGreaterThan(10);
    expect(rows.filter((row) => !/\| `[^`]+` \| [^|]+ \|$/.test(row))).toEqual([]);
    expect(page).toContain("| `limits` | [limits](#limits) |");
    expect(page).toContain("| `pending` | a whole number from 0 to 1000000 | `1024` |");
  });
});

/** As GitHub makes them. */
function anchor(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^a-z0-9 _-]/g, "")
    .replaceAll(" ", "-");
}

describe("every option of every built-in filter", () => {
  const rows = [...filters].flatMap(([filter, { options }]) =>
    rowsOf(options).map((row) => ({ ...row, name: `${filter}.${row.name}` })),
  );

  test("has a description", () => {
    expect(rows.length).toBeGreaterThan(70);
    expect(undescribed()).toEqual([]);
  });

  test("leaves its default to the schema: what repeats it can be wrong", () => {
    const repeated = rows.filter(({ description }) => /; default /.test(description));
    expect(repeated.map(({ name }) => name)).toEqual([]);
  });
});

/** By the JSON Schema, which is made another way, so that one cannot hide what the other leaves out. */
function undescribed(): string[] {
  return [...filters].flatMap(([filter, { options }]) =>
    keysOf(z.toJSONSchema(options, { io: "input", unrepresentable: "any" }), filter)
      .filter(({ description }) => description === undefined)
      .map(({ name }) => name),
  );
}

interface Json {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Json>>;
  readonly additionalProperties?: Json | boolean;
  readonly items?: Json;
  readonly anyOf?: readonly Json[];
}

function keysOf(schema: unknown, name: string): { readonly name: string; readonly description?: string }[] {
  if (typeof schema !== "object" || schema === null) return [];
  const { properties = {}, additionalProperties, items, anyOf = [] } = schema as Json;
  const own = Object.entries(properties).flatMap(([key, field]) => [
    { ...field, name: `${name}.${key}` },
    ...keysOf(field, `${name}.${key}`),
  ]);
  return [...own, ...[additionalProperties, items, ...anyOf].flatMap((inner) => keysOf(inner, `${name}.*`))];
}

describe("wordsOf", () => {
  const said: readonly (readonly [z.ZodType, string])[] = [
    [duration({ maxMs: 60_000 }), "[a duration](#values) from `1ms` to `1m`"],
    [size({ minBytes: 1024 }), "[a size](#values) from `1KiB` to `1GiB`"],
    [percent(), "[a percentage](#values)"],
    [key(), "[a key](#values)"],
    [service(), "the name of a service"],
    [secret().optional(), "[a secret](#values)"],
    [z.int().min(1).max(10), "a whole number from 1 to 10"],
    [z.number().min(0), "a number, at least 0"],
    [z.boolean().default(false), "`true` or `false`"],
    [z.enum(["a", "b", "c"]), "`a`, `b` or `c`"],
    [z.array(z.string()).max(8), "a list of texts, at most 8 entries"],
    [z.union([z.string(), z.array(z.string())]), "text, or a list of such"],
    [z.union([z.string(), z.number()]), "text, or a number"],
    [z.string().regex(/^\//, "wanted a path; with a slash"), "a path"],
    [z.record(z.string(), z.boolean()), "a map from names to `true` or `false`"],
    [z.string().transform(Number), "text"],
  ];
  for (const [schema, words] of said) {
    test(`says ${words}`, () => expect(wordsOf(schema)).toBe(words));
  }

  test("refuses a kind that it has no words for", () => {
    expect(() => wordsOf(z.date())).toThrow("no words for a schema of type date");
  });
});

describe("rowsOf", () => {
  test("has maps in maps, in lists and by names below them", () => {
    const pair = z.strictObject({ a: z.string().describe("one").default("x") });
    const options = z.strictObject({
      map: pair.describe("a map").optional(),
      list: z.array(pair).describe("a list"),
      names: z.record(z.string(), pair).describe("by names").exactOptional(),
      either: z.union([z.string(), pair]).describe("one of two").default("y"),
    });
    expect(rowsOf(options).map((row) => [row.name, row.default])).toEqual([
      ["map", ""],
      ["map.a", "`x`"],
      ["list", "required"],
      ["list[].a", "`x`"],
      ["names", ""],
      ["names.NAME.a", "`x`"],
      ["either", "`y`"],
      ["either.a", "`x`"],
    ]);
  });

  test("writes defaults as a config does", () => {
    const options = z.strictObject({
      wait: duration().default(1500),
      most: size().default(65_536),
      share: percent().default(0.2),
      by: key().default({ by: "header", name: "x-tenant" }),
      list: z.array(z.string()).default([]),
    });
    expect(rowsOf(options).map((row) => row.default)).toEqual([
      "`1500ms`",
      "`64KiB`",
      "`20%`",
      "`header:x-tenant`",
      "none",
    ]);
  });

  test("keeps a table whole whatever a description says", () => {
    const options = z.strictObject({ a: z.enum(["x|y"]).describe("x | y or `a|b`, * for <all>") });
    const lines = table(rowsOf(options), "option").split("\n");
    expect(lines[2]).toBe("| `a` | `x\\|y` | required | x \\| y or `a\\|b`, \\* for \\<all> |");
  });
});
