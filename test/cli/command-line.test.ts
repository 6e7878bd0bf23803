import { expect, test } from "bun:test";
import { type Checked, documentContents, snapshotContents } from "../../src/cli/check.ts";
import { runCommandLine, type Verbs } from "../../src/cli/command-line.ts";
import type { PluginFiles } from "../../src/cli/plugin-new.ts";
import type { MeshConfig } from "../../src/mesh.ts";
import type { Problem, Snapshot } from "../../src/snapshot.ts";

const problem: Problem = {
  file: "clearway.yaml",
  line: 3,
  column: 7,
  path: "drain",
  message: "is wrong",
  hints: [],
  excerpt: null,
};

const route = {};
const right = {
  contents: snapshotContents({
    listeners: [{ routes: [route, route] }],
    services: [{}, {}, {}],
  } as unknown as Snapshot),
  problems: [],
  problemsText: () => "",
  resolvedText: (format: string) => `the config as ${format}`,
};
const wrong = { ...right, contents: null, problems: [problem], problemsText: () => "a problem\n\n1 problem" };

async function obey(text: string, checked: Checked = right) {
  const said = { out: "", error: "", calls: [] as unknown[] };
  const terminal = {
    out: (line: string) => {
      said.out += `${line}\n`;
    },
    error: (line: string) => {
      said.error += `${line}\n`;
    },
    interactive: { out: false, error: false },
  };
  const called = (verb: string) => async (options?: unknown) => {
    said.calls.push([verb, options]);
    return 7;
  };
  const load = async (file: string) => {
    said.calls.push(["check", file]);
    return checked;
  };
  const verbs: Verbs = {
    run: { start: called("run"), workersMax: 64 },
    check: { terminal, load },
    schema: called("schema"),
    demo: called("demo"),
    sidecar: async (given, command) => called("sidecar")([given, command]),
    plugin: { terminal, files: {} as PluginFiles, kit: null, needsBun: (verb) => verb.length },
    coordinator: called("coordinator"),
    token: { terminal, operator: called("operator") as never, durations: () => import("../../src/units.ts") },
    documents: {} as Verbs["documents"],
    get: {} as Verbs["get"],
  };
  const args = text === "" ? [] : text.split(" ");
  const code = await runCommandLine({ args, version: "1.2.3", terminal }, verbs);
  return { code, ...said };
}

test("run takes the config file, clearway.yaml by default, and gives its exit code on", async () => {
  const called = (file: string, workers: number | "auto") => ({
    code: 7,
    calls: [["run", { file, workers }]],
  });
  expect(await obey("run -c a.yaml")).toMatchObject(called("a.yaml", 1));
  expect(await obey("run --config a.yaml --workers 64")).toMatchObject(called("a.yaml", 64));
  expect(await obey("run --workers auto")).toMatchObject(called("clearway.yaml", "auto"));
});

for (const count of ["0", "65", "1.5", "-1", "many", "1e1"]) {
  test(`run refuses ${count} workers`, async () => {
    const { code, error, calls } = await obey(`run --workers ${count}`);
    expect({ code, calls }).toEqual({ code: 1, calls: [] });
    expect(error).toMatch(/^clearway: .*'.+'.* wanted 1 to 64, or auto\.\n$/);
  });
}

const sidecar = {
  service: "payments",
  app: "127.0.0.1:8080",
  coordinator: "https://10.0.0.1:9443",
  inbound: "0.0.0.0:4143",
  outbound: "127.0.0.1:4140",
  admin: "127.0.0.1:0",
  version: null,
  zone: null,
  advertise: null,
  upstreams: [],
  state: ".clearway/payments",
  token: null,
  tokenFile: null,
  drain: "30s",
  transparent: "no",
  plugins: "yes",
};
const asked = "--service payments --app 127.0.0.1:8080 --coordinator https://10.0.0.1:9443";

test("sidecar takes what it is beside, with defaults for the rest; --version is the instance's", async () => {
  expect((await obey(`sidecar ${asked}`)).calls).toEqual([["sidecar", [sidecar, null]]]);
  const more = "--version v2 --upstream a=127.0.0.1:1 --upstream b=127.0.0.1:2 --state /var/lib/payments";
  const upstreams = ["a=127.0.0.1:1", "b=127.0.0.1:2"];
  const state = "/var/lib/payments";
  expect((await obey(`sidecar ${asked} ${more}`)).calls).toEqual([
    ["sidecar", [{ ...sidecar, version: "v2", upstreams, state }, null]],
  ]);
  expect((await obey(`sidecar ${asked} --no-plugins`)).calls).toEqual([
    ["sidecar", [{ ...sidecar, plugins: "no" }, null]],
  ]);
  const { code, error, calls } = await obey("sidecar --app 127.0.0.1:8080");
  expect({ code, calls }).toEqual({ code: 1, calls: [] });
  expect(error).toMatch(/^clearway: required option '--service <name>' not specified\n$/);
});

test("exec takes the command after --, with flags of its own", async () => {
  const { calls } = await obey(`exec ${asked} -- node app.js --port 8080 --version`);
  expect(calls).toEqual([["sidecar", [sidecar, ["node", "app.js", "--port", "8080", "--version"]]]]);
  expect((await obey(`exec ${asked}`)).error).toContain("missing required argument 'command'");
});

test("a command need not say where it listens, a sidecar has to", async () => {
  const without = asked.replace("--app 127.0.0.1:8080 ", "");
  const { calls } = await obey(`exec ${without} -- node app.js`);
  expect(calls).toEqual([["sidecar", [{ ...sidecar, app: null }, ["node", "app.js"]]]]);
  const { error } = await obey(`sidecar ${without}`);
  expect(error).toBe("clearway: required option '--app <host:port>' not specified\n");
});

test("check says in one line what a right config holds", async () => {
  const { code, out } = await obey("check -c a.yaml");
  expect({ code, out }).toEqual({ code: 0, out: "a.yaml is right: 1 listener, 2 routes, 3 services\n" });
});

test("check says what a right mesh document holds", async () => {
  const contents = documentContents({ services: [{}] } as unknown as MeshConfig);
  const { code, out } = await obey("check -c mesh.yaml", { ...right, contents });
  expect({ code, out }).toEqual({ code: 0, out: "mesh.yaml is right: a mesh document with 1 service\n" });
});

test("check prints every problem and exits 1", async () => {
  const { code, out } = await obey("check", wrong);
  expect({ code, out }).toEqual({ code: 1, out: "a problem\n\n1 problem\n" });
});

test("check --json prints one document and nothing else", async () => {
  const some = await obey("check --json", wrong);
  expect([some.code, JSON.parse(some.out), some.error]).toEqual([1, { problems: [problem] }, ""]);
  const none = await obey("check --json");
  expect([none.code, JSON.parse(none.out), none.error]).toEqual([0, { problems: [] }, ""]);
});

test("check --resolved prints the config as YAML, or as JSON with --json; problems go before", async () => {
  expect(await obey("check --resolved")).toMatchObject({ code: 0, out: "the config as yaml\n" });
  expect(await obey("check --resolved --json")).toMatchObject({ code: 0, out: "the config as json\n" });
  expect(await obey("check --resolved --json", wrong)).toMatchObject({
    code: 1,
    out: expect.stringContaining("problems"),
  });
});

test("demo hands its duration on", async () => {
  expect(await obey("demo --for 20s")).toMatchObject({ code: 7, calls: [["demo", { duration: "20s" }]] });
  expect(await obey("demo")).toMatchObject({ calls: [["demo", { duration: null }]] });
});

test("an unknown verb or option is one line with the nearest one, and exit code 1", async () => {
  const verb = await obey("chekc");
  expect([verb.code, verb.error]).toEqual([1, "clearway: unknown command 'chekc' (Did you mean check?)\n"]);
  const option = await obey("check --jsn");
  expect([option.code, option.error]).toEqual([
    1,
    "clearway: unknown option '--jsn' (Did you mean --json?)\n",
  ]);
  const argument = await obey("run clearway.yaml");
  expect([argument.code, argument.error.split("\n").length]).toEqual([1, 2]);
  const missing = await obey("check -c");
  expect([missing.code, missing.error.split("\n").length]).toEqual([1, 2]);
});

test("--version and --help go to stdout with exit code 0; no verb at all is help with exit code 1", async () => {
  expect(await obey("--version")).toMatchObject({ code: 0, out: "1.2.3\n", error: "" });
  const help = await obey("--help");
  expect(help.code).toBe(0);
  for (const verb of ["run", "check", "schema", "demo"]) expect(help.out).toContain(`  ${verb} `);
  expect(help.out).not.toContain("worker [");
  expect(await obey("")).toMatchObject({ code: 1, out: "" });
});
