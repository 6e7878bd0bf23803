import { expect, test } from "bun:test";
import { Documents, type DocumentsParts } from "../../../src/coordinator/documents/documents.ts";
import { checkFiles } from "../../../src/coordinator/documents/files.ts";
import { Refusal } from "../../../src/coordinator/refusal.ts";
import { MemoryStore } from "../../../src/coordinator/store/memory.ts";
import type { ApplyRequest, CheckedDocument } from "../../../src/mesh.ts";
import { host } from "../../config/fixture.ts";
import { documentOf } from "../../config/mesh/loading.ts";
import { findFilters } from "../../found-filters.ts";
import { VirtualClock } from "../../virtual-clock.ts";

const payments = "  storefront: {}\n  payments: { allow: [{ from: storefront }], timeout: 2s }\n";
const slower = payments.replace("2s", "3s");

class Setting {
  readonly clock = new VirtualClock();
  readonly store = new MemoryStore();
  readonly documents = this.coordinator();

  coordinator(more: Partial<DocumentsParts> = {}): Documents {
    return new Documents({
      store: this.store,
      clock: this.clock,
      trustDomain: "store.example",
      checkFiles: (files) => checkFiles(files, { ...host, findFilters }),
      ...more,
    });
  }

  async apply(services: string, base: number | null = null, by = "ada") {
    return this.documents.apply(requestOf(await documentOf(services), base), by, "apply");
  }
}

function requestOf({ files, config, resolved }: CheckedDocument, base: number | null = null): ApplyRequest {
  return { files, checked: { config, resolved }, base };
}

async function refusalOf(promise: Promise<unknown>): Promise<Refusal> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Refusal) return error;
  throw new Error(`wanted a refusal, not ${error}`);
}

test("apply makes a version of it, with who and when, and says what differs", async () => {
  const setting = new Setting();
  const first = await setting.apply(payments, 0);
  expect(first.version).toBe(1);
  expect(first.difference.changes.map(({ service }) => service)).toContain("payments");
  setting.clock.advance(5000);
  const second = await setting.apply(slower, 1, "grace");
  expect(second).toMatchObject({
    version: 2,
    difference: { changes: [{ service: "payments", key: "timeout", before: "2s", after: "3s" }] },
  });
  expect(await setting.documents.list()).toMatchObject([
    { version: 2, by: "grace", restores: null, appliedEpochMs: setting.clock.epochMs() },
    { version: 1, by: "ada", appliedEpochMs: setting.clock.epochMs() - 5000 },
  ]);
});

test("apply of what holds already makes no version; of another text of it, it does", async () => {
  const setting = new Setting();
  await setting.apply(payments);
  expect(await setting.apply(payments)).toEqual({ version: 1, difference: { changes: [] } });
  expect(await setting.documents.list()).toHaveLength(1);
  expect(await setting.apply(`${payments}# said\n`)).toEqual({ version: 2, difference: { changes: [] } });
});

test("a try says what differs, and changes nothing", async () => {
  const setting = new Setting();
  await setting.apply(payments);
  const answer = await setting.documents.apply(requestOf(await documentOf(slower)), "ada", "try");
  expect(answer).toMatchObject({ version: 1, difference: { changes: [{ key: "timeout" }] } });
  expect((await setting.documents.read(null)).version).toBe(1);
});

test("who compared with an older version is told who was faster, and nothing changes", async () => {
  const setting = new Setting();
  await setting.apply(payments);
  await setting.apply(slower, 1, "grace");
  const refused = await refusalOf(setting.apply(payments, 1));
  expect(refused.reason).toBe("version-conflict");
  expect(refused.message).toContain("grace applied version 2 at ");
  expect(refused.message).toContain("`clearway diff 1 2`");
  expect((await setting.documents.read(null)).version).toBe(2);
  expect((await refusalOf(setting.apply(payments, 9))).message).toContain("the newest is version 2");
  expect((await refusalOf(new Setting().apply(payments, 1))).message).toContain("there is none yet");
});

test("of many applies at the same time with one base, one wins, whichever coordinator they ask", async () => {
  const setting = new Setting();
  await setting.apply(payments);
  const other = setting.coordinator();
  const document = requestOf(await documentOf(slower), 1);
  const all = await Promise.allSettled(
    Array.from({ length: 10 }, (_, index) =>
      (index % 2 === 0 ? setting.documents : other).apply(document, `operator ${index}`, "apply"),
    ),
  );
  expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect((await setting.documents.list()).map(({ version }) => version)).toEqual([2, 1]);
});

test("without a base each is applied on what is there, and none is lost", async () => {
  const setting = new Setting();
  const other = setting.coordinator();
  const texts = Array.from({ length: 8 }, (_, index) => payments.replace("2s", `${index + 1}s`));
  const documents = await Promise.all(texts.map((text) => documentOf(text)));
  await Promise.all(
    documents.map((document, index) =>
      (index % 2 === 0 ? setting.documents : other).apply(requestOf(document), "ada", "apply"),
    ),
  );
  const versions = await setting.documents.list();
  expect(versions.map(({ version }) => version)).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
});

test("rollback is a new version with what an earlier one had", async () => {
  const setting = new Setting();
  await setting.apply(payments);
  await setting.apply(slower);
  const answer = await setting.documents.rollback({ version: 1, base: 2 }, "grace");
  expect(answer).toMatchObject({ version: 3, difference: { changes: [{ before: "3s", after: "2s" }] } });
  const now = await setting.documents.read(null);
  expect(now).toMatchObject({ version: 3, by: "grace", restores: 1 });
  expect(now.config).toEqual((await setting.documents.read(1)).config);
  expect((await refusalOf(setting.documents.rollback({ version: 1, base: 2 }, "ada"))).reason).toBe(
    "version-conflict",
  );
  expect((await refusalOf(setting.documents.rollback({ version: 9, base: null }, "ada"))).message).toContain(
    "no version 9",
  );
});

test("another trust domain is another mesh", async () => {
  const setting = new Setting();
  const document = await documentOf(payments);
  const foreign = { ...document, config: { ...document.config, trustDomain: "other.example" } };
  expect((await refusalOf(setting.documents.apply(requestOf(foreign), "ada", "apply"))).message).toContain(
    "its trustDomain is other.example, and this mesh is store.example",
  );
  const open = setting.coordinator({ trustDomain: null });
  await open.apply(requestOf(foreign), "ada", "apply");
  expect((await refusalOf(open.apply(requestOf(document), "ada", "apply"))).reason).toBe("document-invalid");
});

test("files alone are checked here: every problem at once, and nobody's code", async () => {
  const setting = new Setting();
  const alone = (text: string) =>
    setting.documents.apply(
      { files: [{ name: "mesh.yaml", text }], checked: null, base: null },
      "a",
      "apply",
    );
  const head = "trustDomain: store.example\nservices:\n";
  expect(await alone(head + payments)).toMatchObject({ version: 1 });
  const wrong = await refusalOf(alone(`${head}  payments: { allow: [{ from: nobdy }], tymeout: 1s }\n`));
  expect(wrong.reason).toBe("document-invalid");
  expect(wrong.message).toContain('unknown service "nobdy"');
  expect(wrong.message).toContain('unknown key "tymeout"');
  expect(wrong.message).toEndWith("2 problems in mesh.yaml");
  const code = await refusalOf(alone(`${head}  payments: { inbound: [./plugins/own.ts] }\n`));
  expect(code.message).toContain('the filter "./plugins/own.ts", which is somebody\'s code');
});

test("what was checked elsewhere has the shape that nodes rely on, the policy first", async () => {
  const setting = new Setting();
  const document = await documentOf(payments);
  const [storefront, other] = document.config.services;
  const applied = (services: unknown) => {
    const config = { ...document.config, services } as CheckedDocument["config"];
    return refusalOf(setting.documents.apply(requestOf({ ...document, config }), "ada", "apply"));
  };
  const open = { ...storefront!, callee: { ...storefront!.callee, inbound: [] } };
  expect((await applied([open, other])).message).toContain("checked.config.services.0.callee.inbound");
  expect((await applied([storefront, storefront])).message).toContain("a service is there twice");
  expect((await applied("none")).reason).toBe("document-invalid");
  const file = { name: "./a.ts", version: "1", source: { kind: "file" as const, path: "a.ts" } };
  const config = { ...document.config, plugins: [file] };
  const unbundled = refusalOf(setting.documents.apply(requestOf({ ...document, config }), "ada", "apply"));
  expect((await unbundled).message).toContain("wanted code in one bundle");
});

test("a file that the coordinator is started with fills an empty store, and is otherwise compared only", async () => {
  const setting = new Setting();
  const first = await setting.documents.begin(await documentOf(payments), "mesh.yaml");
  expect(first).toMatchObject({ current: { version: 1, by: "mesh.yaml" }, differs: null });
  expect(await setting.documents.begin(await documentOf(payments), "mesh.yaml")).toMatchObject({
    current: { version: 1 },
    differs: null,
  });
  const other = await setting.documents.begin(await documentOf(slower), "mesh.yaml");
  expect(other).toMatchObject({ current: { version: 1 }, differs: { changes: [{ key: "timeout" }] } });
  expect(await setting.documents.begin(null, "")).toMatchObject({ current: { version: 1 }, differs: null });
  expect(await new Setting().documents.begin(null, "")).toEqual({ current: null, differs: null });
});

test("history is bounded: the oldest versions are forgotten", async () => {
  const setting = new Setting();
  const [one, two] = await Promise.all([documentOf(payments), documentOf(slower)]);
  for (let index = 0; index < 505; index++) {
    await setting.documents.apply(requestOf(index % 2 === 0 ? one : two), "ada", "apply");
  }
  const versions = await setting.documents.list();
  expect([versions.length, versions[0]!.version, versions.at(-1)!.version]).toEqual([500, 505, 6]);
  const gone = await refusalOf(setting.documents.read(1));
  expect([gone.reason, gone.message]).toEqual([
    "no-such-version",
    "version 1 is no longer kept, the oldest is version 6: the coordinator keeps the last 500, and no more than fit " +
      "into 256 MiB; `clearway get versions` lists those that are kept",
  ]);
});

test("history is bounded in bytes too: who wants a forgotten version back is told so, and nothing changes", async () => {
  const store = new MemoryStore({ versions: 500, versionBytes: 100_000 });
  const documents = new Setting().coordinator({ store });
  for (let index = 1; index <= 8; index++) {
    const document = await documentOf(`${payments}# ${String(index).repeat(20_000)}\n`);
    await documents.apply(requestOf(document), "ada", "apply");
  }
  const versions = (await documents.list()).map(({ version }) => version);
  expect(versions[0]).toBe(8);
  expect(versions.length).toBeWithin(2, 5);
  const gone = await refusalOf(documents.rollback({ version: 1, base: null }, "grace"));
  expect(gone.reason).toBe("no-such-version");
  expect(gone.message).toContain(`version 1 is no longer kept, the oldest is version ${versions.at(-1)}`);
  expect((await documents.read(null)).version).toBe(8);
  expect(await documents.rollback({ version: versions.at(-1)!, base: null }, "grace")).toMatchObject({
    version: 9,
  });
});
