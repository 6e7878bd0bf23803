import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { applyPathPolicy } from "../../src/runtime/path.ts";
import type { PathPolicy } from "../../src/snapshot.ts";

const defaults: PathPolicy = { dotSegments: "reject", slashes: "keep", escapedSlash: "keep" };

/** The path that comes out, or the problem. */
function apply(path: string, change: Partial<PathPolicy> = {}): string {
  const result = applyPathPolicy(path, { ...defaults, ...change });
  return result.ok ? result.path : result.problem;
}

const policies = (["reject", "resolve"] as const).flatMap((dotSegments) =>
  (["keep", "merge"] as const).flatMap((slashes) =>
    (["keep", "reject", "decode"] as const).map((escapedSlash) => ({ dotSegments, slashes, escapedSlash })),
  ),
);

describe("path policy", () => {
  test.each([
    "/",
    "/a/b",
    "/a%20b/%C3%A9",
    "/a;v=1/b",
    "/...",
    "/.well-known/x",
    "/a..b/c.",
    "/100%25",
    "/~a",
    "/a%252fb",
  ])("leaves %s as it is, the same string, under every policy", (path) => {
    for (const policy of policies) expect(apply(path, policy)).toBe(path);
  });

  const refused: [string, string][] = [
    ["", 'the path does not begin with "/"'],
    ["a/b", 'the path does not begin with "/"'],
    ["/a b", "the path has a space, a control character or a character outside ASCII"],
    ["/a\tb", "the path has a space, a control character or a character outside ASCII"],
    ["/a\x7fb", "the path has a space, a control character or a character outside ASCII"],
    ["/caf\xe9", "the path has a space, a control character or a character outside ASCII"],
    ["/caf\u0119", "the path has a space, a control character or a character outside ASCII"],
    ["/a#b", 'the path has a "#"'],
    ["/a?b", 'the path has a "?"'],
    ["/a\\b", "the path has a backslash"],
    ["/a%5cb", "the path has a backslash"],
    ["/a%5Cb", "the path has a backslash"],
    ["/a%00", "the path has an escaped NUL"],
    ["/100%", 'the path has a "%" without two hexadecimal digits'],
    ["/a%2", 'the path has a "%" without two hexadecimal digits'],
    ["/a%zz", 'the path has a "%" without two hexadecimal digits'],
    ["/a%G0", 'the path has a "%" without two hexadecimal digits'],
    ["/a%0G", 'the path has a "%" without two hexadecimal digits'],
    ["/a%%20", 'the path has a "%" without two hexadecimal digits'],
    ["/a/..;/b", 'the path has a dot segment with a ";"'],
    ["/a/.;x=1/b", 'the path has a dot segment with a ";"'],
    ["/a/%2e%2E;/b", 'the path has a dot segment with a ";"'],
    ["/a/..%3bx/b", 'the path has a dot segment with a ";"'],
  ];
  test.each(refused)("refuses %j under every policy", (path, problem) => {
    for (const policy of policies) expect(apply(path, policy)).toBe(problem);
  });

  test.each(["/a/./b", "/a/../b", "/a/%2e%2E/b", "/a/.%2e/b", "/a/..", "/.", "/%2e", "/..", "/a/../../b"])(
    "refuses the dot segment of %s when dot segments are rejected",
    (path) => {
      expect(apply(path)).toBe("the path has a dot segment");
    },
  );

  const resolved: [string, string][] = [
    ["/a/./b", "/a/b"],
    ["/a/../b", "/b"],
    ["/a/%2e%2E/b", "/b"],
    ["/a/.%2e/b", "/b"],
    ["/a/b/..", "/a/"],
    ["/a/.", "/a/"],
    ["/a/..", "/"],
    ["/.", "/"],
    ["/a//../b", "/a/b"],
    ["/..", "the path leads above the root"],
    ["/a/../../b", "the path leads above the root"],
  ];
  test.each(resolved)("resolves %s to %s", (path, wanted) => {
    expect(apply(path, { dotSegments: "resolve" })).toBe(wanted);
  });

  test.each(["/a/..%2fb", "/a%2F..", "/a%2f.%2fb", "/a/%2e%2e%2fb", "/x%2f..;y"])(
    "refuses %s, whose meaning depends on who decodes the slash",
    (path) => {
      for (const dotSegments of ["reject", "resolve"] as const) {
        expect(apply(path, { dotSegments })).toBe("the path has a dot segment beside an escaped slash");
      }
    },
  );

  test("keeps or merges slashes", () => {
    expect(apply("//a///b/")).toBe("//a///b/");
    expect(apply("//a///b/", { slashes: "merge" })).toBe("/a/b/");
  });

  test("merges slashes before it resolves dot segments", () => {
    expect(apply("/a//../b", { slashes: "merge", dotSegments: "resolve" })).toBe("/b");
  });

  test("keeps, rejects or decodes an escaped slash", () => {
    expect(apply("/files/a%2fb")).toBe("/files/a%2Fb");
    expect(apply("/files/a%2Fb")).toBe("/files/a%2Fb");
    expect(apply("/files/a%2fb", { escapedSlash: "reject" })).toBe("the path has an escaped slash");
    expect(apply("/files/a%2Fb", { escapedSlash: "reject" })).toBe("the path has an escaped slash");
    expect(apply("/files/a%2fb", { escapedSlash: "decode" })).toBe("/files/a/b");
    expect(apply("/a%2f/b", { escapedSlash: "decode", slashes: "merge" })).toBe("/a/b");
    expect(apply("/a%2f..%2fb", { escapedSlash: "decode", dotSegments: "resolve" })).toBe("/b");
    expect(apply("/a%2f..%2fb", { escapedSlash: "decode" })).toBe("the path has a dot segment");
  });

  test("gives equal paths one spelling, so that a rule on /admin cannot be passed by", () => {
    expect(apply("/%61dmin/%7Euser/caf%c3%a9/a%2eb")).toBe("/admin/~user/caf%C3%A9/a.b");
  });

  test("is settled: applied to its own result it changes nothing, and no result is dangerous", () => {
    const part = fc.constantFrom(
      ...[
        "/",
        "//",
        ".",
        "..",
        "%2e",
        "%2E",
        "%2f",
        "%2F",
        "%5c",
        ";",
        "%3b",
        "a",
        "b",
        "%61",
        "%20",
        "%c3",
        "%",
        "#",
      ],
    );
    const path = fc.array(part, { maxLength: 12 }).map((parts) => `/${parts.join("")}`);
    fc.assert(
      fc.property(path, fc.constantFrom(...policies), (text, policy) => {
        const result = applyPathPolicy(text, policy);
        if (!result.ok) return;
        expect(applyPathPolicy(result.path, policy)).toEqual(result);
        // What a careless service would make of it, decoding everything and then resolving, has no dot segment either.
        const decoded = result.path.replace(/%2F/g, "/").replace(/%3B/g, ";");
        expect(decoded).not.toMatch(/(^|\/)\.\.?(;|\/|$)/);
        if (policy.slashes === "merge") expect(result.path).not.toContain("//");
      }),
      { numRuns: 3000 },
    );
  });

  test("looks quickly and thoroughly with the same result", () => {
    // A "." segment in front needs the thorough look and disappears again.
    const part = fc.constantFrom(
      "/",
      "a",
      ".x",
      "%20",
      "%41",
      "%C3",
      "%2F",
      "%c3",
      "%2",
      ";",
      "~",
      "%G0",
      "\\",
    );
    const path = fc.array(part, { maxLength: 8 }).map((parts) => `/a${parts.join("")}`);
    fc.assert(
      fc.property(path, fc.constantFrom("keep", "reject", "decode"), (text, escapedSlash) => {
        const change = { dotSegments: "resolve", escapedSlash } as const;
        expect(apply(text, change)).toBe(apply(`/.${text}`, change));
      }),
      { numRuns: 2000 },
    );
  });
});
