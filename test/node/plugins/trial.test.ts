/** Filters that do harm before they serve, tried by the real program: each is a problem, and nothing else happens. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkFiles, configText, defineHead, filterText, shown } from "../../check-with-filters.ts";
import { program, until } from "../../program.ts";

const problemsOf = async (text: string, more: Readonly<Record<string, string>> = {}) => {
  const { problems, code } = await checkFiles({ "own.ts": text, ...more });
  expect(code).toBe(problems.length === 0 ? 0 : 1);
  return problems.map(shown);
};
const refused = (reason: string) => [`clearway.yaml:4:15 cannot use the filter "./own.ts": ${reason}`];

describe("a trial ends", () => {
  test("what does not come to an end within 5 s, wherever that is", async () => {
    const loop = "() => { for (;;) {} }";
    const seen = await Promise.all([
      problemsOf("for (;;) {}\n"),
      problemsOf("await new Promise(() => {});\n"),
      problemsOf(filterText({ options: `z.strictObject({}).refine(${loop})` })),
      problemsOf(filterText({ middleware: loop })),
    ]);
    expect(seen).toEqual([
      refused("loading it took longer than 5 s"),
      refused("loading it took longer than 5 s"),
      refused("checking its options took longer than 5 s"),
      refused("creating it took longer than 5 s"),
    ]);
  });

  test("what takes more than 256 MiB", async () => {
    const hog = "const kept = []; for (;;) kept.push(new Uint8Array(100_000).fill(7));";
    expect(await problemsOf(hog)).toEqual(refused("loading it took more than 256 MiB of memory"));
    const creating = filterText({ middleware: `() => { ${hog} }` });
    expect(await problemsOf(creating)).toEqual(refused("creating it took more than 256 MiB of memory"));
  });
});

describe("a trial survives", () => {
  test("the end of its process", async () => {
    expect(await problemsOf("process.exit(3);\n")).toEqual(
      refused("loading it ended the process with code 3"),
    );
    expect(await problemsOf(filterText({ middleware: "() => process.exit(0)" }))).toEqual(
      refused("creating it ended the process with code 0"),
    );
    expect(await problemsOf("process.kill(process.pid, 'SIGSEGV'); await new Promise(() => {});\n")).toEqual(
      refused("loading it ended the process by SIGSEGV"),
    );
  });

  test("what is thrown, and says where", async () => {
    const inside = 'export function fail(): never {\n  throw new TypeError("no such tenant");\n}\n';
    const importing = 'import { fail } from "./inside.ts";\n';
    expect(await problemsOf(`${importing}fail();\n`, { "inside.ts": inside })).toEqual([
      'inside.ts:2:13 cannot use the filter "./own.ts": it throws when it is loaded: TypeError: no such tenant | named in clearway.yaml:4',
    ]);
    const creating = importing + filterText({ middleware: "() => fail()" });
    expect(await problemsOf(creating, { "inside.ts": inside })).toEqual([
      'clearway.yaml:4:15 cannot create the filter "./own.ts": TypeError: no such tenant | thrown in inside.ts:2:13',
    ]);
  });

  test("a rejection that nobody handles, and says where", async () => {
    expect(await problemsOf(`${filterText({})}Promise.reject(new Error("lost"));\n`)).toEqual([
      'own.ts:3:20 cannot use the filter "./own.ts": loading it left an error that nothing catches: Error: lost | named in clearway.yaml:4',
    ]);
    const later = 'async function later() {\n  throw new Error("later");\n}\n';
    const creating = later + filterText({ middleware: "() => { later(); return async () => {}; }" });
    expect(await problemsOf(creating)).toEqual([
      'own.ts:2:13 cannot use the filter "./own.ts": creating it left an error that nothing catches: Error: later | named in clearway.yaml:4',
    ]);
  });
});

describe("a trial refuses", () => {
  test("what is no filter, and says what would be one", async () => {
    const [none] = await problemsOf(
      `${defineHead}export const own = defineFilter({ name: "own", summary: "", options: z.null(), middleware: () => async () => {} });\n`,
    );
    expect(none).toContain("it has no default export");
    expect(none).toContain("it exports one as `own`");
    const [plain] = await problemsOf(
      "export default async (c: unknown, next: () => Promise<void>) => next();\n",
    );
    expect(plain).toContain("its default export is a function: wanted what defineFilter makes");
    expect(plain).toContain("wrap a Hono middleware: export default defineFilter({");
    const [other] = await problemsOf("export default { name: 'own' };\n");
    expect(other).toContain("its default export is no filter");
    const [promise] = await problemsOf(filterText({ middleware: "(async () => {}) as never" }));
    expect(promise).toContain("wanted a function of (c, next), not a promise");
  });

  test("options that its schema does not take, at their line", async () => {
    const text = filterText({ options: "z.strictObject({ header: z.string() })" });
    const config = configText("./own.ts: { haeder: x }");
    const { problems } = await checkFiles({ "own.ts": text, "clearway.yaml": config });
    expect(problems.map(({ line, path, hints }) => [line, path, hints])).toEqual([
      [4, 'listeners.web.filters[0]["./own.ts"].haeder', ["did you mean `header`?"]],
    ]);
  });

  test("what is not there, what is a folder, and what it cannot carry", async () => {
    const { problems } = await checkFiles({
      "own.ts/inside.ts": "",
      "clearway.yaml": configText("./own.ts, ./gone.ts"),
    });
    expect(problems.map(shown)).toEqual([
      'clearway.yaml:4:15 cannot use the filter "./own.ts": cannot read own.ts: it is a folder',
      'clearway.yaml:4:25 cannot use the filter "./gone.ts": cannot read gone.ts: it is not there',
    ]);
    const addon = 'import addon from "./addon.node";\nconsole.log(addon);\n';
    const [carried] = await problemsOf(addon + filterText({}), { "addon.node": "\u007fELF" });
    expect(carried).toContain("it imports what is not code and cannot go to other processes: addon");
  });
});

test("what a filter prints while it is tried is not on stdout", async () => {
  const { code, printed } = await checkFiles({
    "own.ts": `console.log("said while loading");\n${filterText({})}`,
  });
  expect(code).toBe(0);
  expect(printed).toContain("said while loading");
});

test("a trial that hangs keeps nobody from stopping", async () => {
  const folder = await mkdtemp(join(tmpdir(), "clearway-trial-"));
  await writeFile(join(folder, "clearway.yaml"), configText("./own.ts"));
  await writeFile(join(folder, "own.ts"), 'console.error("began");\nfor (;;) {}\n');
  const child = Bun.spawn(["setsid", ...program, "check"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  for await (const chunk of child.stderr) if (Buffer.from(chunk).includes("began")) break;
  const inGroup = () =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => groupOf(pid) === String(child.pid));
  expect(inGroup()).toHaveLength(2);
  // As a terminal does at Ctrl-C.
  process.kill(-child.pid, "SIGINT");
  await child.exited;
  await until(inGroup, (pids) => pids.length === 0);
  await rm(folder, { recursive: true });
});

function groupOf(pid: string): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, , group = null] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" ? null : group;
  } catch {
    return null;
  }
}
