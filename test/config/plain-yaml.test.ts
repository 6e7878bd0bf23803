/** The quick reader against all of YAML: what it reads at all, it reads the same, with the same places. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { readDocument } from "../../src/config/document.ts";
import type { Located } from "../../src/config/located.ts";
import { readPlain } from "../../src/config/plain-yaml.ts";
import { Report } from "../../src/config/problem.ts";
import { excerptOf, type Range, SourceFile } from "../../src/config/source.ts";

const environment = { NAME: "named", EMPTY: "" };
const examples = join(import.meta.dir, "../../examples");

/** Values, and all that a person can be shown of their places. */
function seen(node: Located): unknown {
  const { range } = node;
  // Where nothing was written, its key is shown.
  const at = range.start === range.end ? range.file.position(range.start).line : placeOf(range);
  if (node.kind === "scalar") return [at, node.value, node.written, node.origin];
  if (node.kind === "list") return [at, node.items.map(seen)];
  if (node.kind === "gap") return at;
  return [at, [...node.entries].map(([name, entry]) => [name, placeOf(entry.key), seen(entry.node)])];
}

function placeOf(range: Range): unknown {
  return [range.file.position(range.start), excerptOf(range)];
}

/** As all of YAML has it; null when that finds any problem. */
function seenByYaml(file: SourceFile): unknown {
  const report = new Report();
  const node = readDocument(file, { report, environment });
  return node === null || !report.empty ? null : seen(node);
}

function isPlain(text: string): boolean {
  const file = new SourceFile("clearway.yaml", text);
  const node = readPlain(file, environment);
  if (node !== null) expect(seen(node)).toEqual(seenByYaml(file));
  return node !== null;
}

const plain = [
  "a: 1",
  "a: b c # d\nb: c#d\n\n# e\n  # f\nc:\n  d:\n    e: f\n",
  "a:\n- x\n- y: 2\n  z: 3\n-\n- - 1\n  - 2\nb:\n  - w",
  "  a: 1\n  b:   two  words   \n",
  "a:\nb: # nothing\nc:  ",
  "-a: -b\n?a: ?b\n:a: :b\na:b: c:d\n",
  `"a b": 'it''s'\n'#': "\\"q\\" \\\\ \\n \\t \\/"\n`,
  "a: {}\nb: []\nc: { d: 1, 'e': [f, { g: \"h\" }], i j: k l }   # m\n",
  "a: [1, -2, +3, 0.5, .5, 1., 1e3, -1.5E-2, 0123, 1_000, 1.2.3, 1-2, 250ms, 20%, 10.0.0.1:80, 'x:y']",
  "a: [null, Null, ~, nULL, true, True, TRUE, tRUE, false, no, yes, on, 'true', \"1\"]",
  `a: \${NAME}\nb: 'x-\${NAME}-\${NONE:-y}'\nc: $\${NAME}\nd: \${EMPTY}\n`,
  "a: file:secret\nb: http://x/y?z=1#t\nc: /a/:id/*\nd: a*b&c!d|e>f%g@h`i\n",
];

const notPlain = {
  "a line break of Windows": "a: 1\r\nb: 2\r\n",
  "a tab": "a:\t1",
  "an anchor": "a: &x 1",
  "an alias": "a: 1\nb: *a",
  "a merge": "a: { <<: { b: 1 } }",
  "a tag": "a: !str 1",
  "a block scalar": "a: |\n  text\n",
  "a folded scalar": "a: >\n  text\n",
  "a value of two lines": "a: b\n  c\n",
  "a value in the next line": "a:\n  b\n",
  "an item of two lines": "a:\n  - b\n    c\n",
  "a quoted value of two lines": 'a: "b\n  c"\n',
  "a list over lines": "a: [\n  b ]\n",
  "a key without a value in braces": "a: { b }",
  "a pair in brackets": "a: [b: c]",
  "a comma at the end": "a: [b, ]",
  "a colon right behind a quoted key": 'a: {"b":1}',
  "an explicit key": "? a\n: b\n",
  "a document marker": "---\na: 1\n",
  "a second document": "a: 1\n---\nb: 2\n",
  "a directive": "%YAML 1.2\n---\na: 1\n",
  "an escape by number": 'a: "\\u0041"',
  "a number in hexadecimal": "a: 0x10",
  "a number without end": "a: .inf",
  "a number too large": "a: 1e999",
  "a list at the top": "- a\n- b\n",
  nothing: "# only a comment\n",
  "a key twice": "a: 1\na: 2\n",
  "a name that is missing": `a: \${NONE}\n`,
  "a map in the line of a key": "a: b: c\n",
  "a list in the line of a key": "a: - b\n",
  "a line between two depths": "a:\n    b: 1\n  c: 2\n",
  "a line that is deeper": "a: 1\n  b: 2\n",
  "text behind a quote": 'a: "b" c\n',
  "a comment right behind a bracket": "a: [b]#c\n",
  "a text without a colon": "a: 1\nb\n",
  "an unclosed bracket": "a: [b\n",
  "an unclosed quote": "a: 'b\n",
  "a key that is an object's own": "__proto__: 1\n",
  "a depth without end": Array.from({ length: 70 }, (_, depth) => `${" ".repeat(depth)}a:\n`).join(""),
};

describe("readPlain", () => {
  for (const text of plain) test(`reads ${JSON.stringify(text)}`, () => expect(isPlain(text)).toBe(true));

  for (const [name, text] of Object.entries(notPlain)) {
    test(`leaves ${name} to all of YAML`, () => expect(isPlain(text)).toBe(false));
  }

  test("reads every example", () => {
    const names = [...new Bun.Glob("[0-9]*/*.yaml").scanSync({ cwd: examples })];
    for (const name of names) {
      const text = readFileSync(join(examples, name), "utf8");
      expect([name, isPlain(text)]).toEqual([name, true]);
    }
    expect(names.length).toBeGreaterThan(3);
  });

  test("reads the same as all of YAML, or nothing, whatever is changed in a right text", () => {
    const signs = [
      ..." \n:-#'\"{}[],&*!|>?%@`\\~a1.$é",
      ": ",
      "- ",
      " #",
      "\n  ",
      "\n    ",
      `\${NAME}`,
      "\u00a0",
      "\u2028",
    ];
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      removed: fc.nat(3),
      added: fc.constantFrom("", ...signs),
    });
    const changed = fc
      .tuple(fc.constantFrom(...plain), fc.array(change, { minLength: 1, maxLength: 4 }))
      .map(([text, changes]) =>
        changes.reduce((before, { at, removed, added }) => {
          const start = Math.floor(at * before.length);
          return before.slice(0, start) + added + before.slice(start + removed);
        }, text),
      );
    let read = 0;
    fc.assert(
      fc.property(changed, (text) => {
        if (isPlain(text)) read++;
      }),
      { numRuns: 4_000 },
    );
    expect(read).toBeGreaterThan(400);
  });
});
