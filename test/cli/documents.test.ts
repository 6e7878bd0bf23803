import { beforeEach, expect, test } from "bun:test";
import { Operating } from "./operating.ts";

const storefront = "  storefront: {}\n";
const payments = "  payments: { allow: [{ from: storefront }], timeout: 2s }\n";

let mesh: Operating;
beforeEach(() => {
  mesh = new Operating();
  mesh.write(storefront + payments);
});

test("apply prints what differs, then the version that holds", async () => {
  const first = await mesh.obey("apply -f mesh.yaml");
  expect(first.code).toBe(0);
  expect(first.out).toContain("+ trustDomain: store.example\n");
  expect(first.out).toContain("+ payments\n");
  expect(first.out).toEndWith("changes\n");
  mesh.write(storefront + payments.replace("2s", "3s"));
  expect(await mesh.obey("apply -f mesh.yaml")).toEqual({
    code: 0,
    out: "  payments\n  ~ timeout: 2s -> 3s\nversion 2 holds: 1 change\n",
    error: "",
  });
  expect(mesh.asked).toEqual(["https://127.0.0.1:9800", "https://127.0.0.1:9800"]);
});

test("apply of what holds says so; of another text of it, too", async () => {
  await mesh.obey("apply -f mesh.yaml");
  expect((await mesh.obey("apply -f mesh.yaml")).out).toBe("nothing differs: version 1 holds\n");
  mesh.text += "# said\n";
  expect((await mesh.obey("apply -f mesh.yaml")).out).toBe(
    "version 2 holds: the same rules in another text\n",
  );
});

test("apply prints every problem, asks no coordinator, and exits 1", async () => {
  mesh.write("  payments: { allow: [{ from: nobdy }], tymeout: 1s }\n");
  const { code, out } = await mesh.obey("apply -f mesh.yaml");
  expect([code, mesh.asked]).toEqual([1, []]);
  expect(out).toContain('unknown service "nobdy"');
  expect(out).toContain('unknown key "tymeout"');
  const asJson = await mesh.obey("apply -f mesh.yaml -o json");
  expect(asJson.code).toBe(1);
  expect(JSON.parse(asJson.out).problems).toHaveLength(2);
});

test("apply --dry-run prints what would change, and changes nothing", async () => {
  const first = await mesh.obey("apply -f mesh.yaml --dry-run");
  expect(first.code).toBe(0);
  expect(first.out).toContain("against nothing: no document was applied yet; nothing was applied\n");
  expect(await mesh.documents.list()).toEqual([]);
  await mesh.obey("apply -f mesh.yaml");
  mesh.write(storefront);
  expect((await mesh.obey("apply -f mesh.yaml --dry-run")).out).toBe(
    "- payments\n1 change against version 1; nothing was applied\n",
  );
});

test("apply changes nothing when another version came after what was shown", async () => {
  await mesh.obey("apply -f mesh.yaml");
  mesh.meanwhile = async () => {
    mesh.meanwhile = async () => {};
    const { files, config, resolved } = await mesh.documents.read(1);
    const other = { ...config, egress: "deny" as const };
    await mesh.documents.apply({ files, checked: { config: other, resolved }, base: 1 }, "grace", "apply");
  };
  mesh.write(storefront);
  const { code, error } = await mesh.obey("apply -f mesh.yaml");
  expect(code).toBe(1);
  expect(error).toStartWith("clearway: grace applied version 2 at ");
  expect((await mesh.documents.read(null)).by).toBe("grace");
});

test("apply -o json prints one document and nothing else", async () => {
  const { out } = await mesh.obey("apply -f mesh.yaml -o json");
  expect(JSON.parse(out)).toMatchObject({ version: 1, difference: { changes: expect.any(Array) } });
  mesh.write(storefront);
  const dry = JSON.parse((await mesh.obey("apply -f mesh.yaml --dry-run -o json")).out);
  expect(dry).toMatchObject({
    version: 1,
    difference: { changes: [{ service: "payments", kind: "removed" }] },
  });
});

test("diff -f compares a file with what holds; --exit-code says it to scripts", async () => {
  await mesh.obey("apply -f mesh.yaml");
  expect(await mesh.obey("diff -f mesh.yaml --exit-code")).toMatchObject({
    code: 0,
    out: "nothing differs from version 1\n",
  });
  mesh.write(storefront + payments.replace("storefront }", "storefront, path: /charge }"));
  const changed = { out: "  payments\n  + allow[0].path: /charge\n", error: "" };
  expect(await mesh.obey("diff -f mesh.yaml")).toEqual({ code: 0, ...changed });
  expect(await mesh.obey("diff -f mesh.yaml --exit-code")).toEqual({ code: 1, ...changed });
});

test("diff compares two versions, or one with what holds", async () => {
  for (const timeout of ["2s", "3s", "4s"]) {
    mesh.write(storefront + payments.replace("2s", timeout));
    await mesh.obey("apply -f mesh.yaml");
  }
  expect((await mesh.obey("diff 1 2")).out).toBe("  payments\n  ~ timeout: 2s -> 3s\n");
  expect((await mesh.obey("diff 2")).out).toBe("  payments\n  ~ timeout: 3s -> 4s\n");
  expect((await mesh.obey("diff 3")).out).toBe("nothing differs from version 3, as of version 3\n");
  expect(JSON.parse((await mesh.obey("diff 2 1 -o json")).out).changes).toMatchObject([
    { key: "timeout", before: "3s", after: "2s" },
  ]);
  const unknown = await mesh.obey("diff 1 9");
  expect([unknown.code, unknown.error]).toEqual([
    1,
    "clearway: there is no version 9, the newest is version 3: `clearway get versions` lists those that are kept\n",
  ]);
});

test("diff wants a file or versions", async () => {
  for (const line of ["diff", "diff 1 -f mesh.yaml"]) {
    const { code, error } = await mesh.obey(line);
    expect([code, error]).toEqual([
      1,
      "clearway: wanted either a mesh document, diff -f FILE, or versions, diff 6 7\n",
    ]);
  }
  expect((await mesh.obey("diff seven")).error).toContain("wanted the number of a version, such as 7.");
});

test("rollback applies an earlier version as a new one, and says what that changed", async () => {
  await mesh.obey("apply -f mesh.yaml");
  mesh.write(storefront);
  await mesh.obey("apply -f mesh.yaml");
  expect(await mesh.obey("rollback 1")).toEqual({
    code: 0,
    out: "+ payments\nversion 3 holds: 1 change\n",
    error: "",
  });
  expect((await mesh.obey("rollback 9")).error).toContain("there is no version 9");
  expect((await mesh.obey("get versions")).out).toMatch(/^3 \(holds\) +0s ago +ada +rolled back to 1$/m);
});

test("a version that is no longer kept is said to be that, not to be unknown", async () => {
  mesh = new Operating({ versions: 2, versionBytes: 1_000_000 });
  for (const timeout of ["2s", "3s", "4s"]) {
    mesh.write(storefront + payments.replace("2s", timeout));
    await mesh.obey("apply -f mesh.yaml");
  }
  const kept = "version 1 is no longer kept, the oldest is version 2: the coordinator keeps the last 500";
  for (const line of ["rollback 1", "diff 1 3"]) {
    const { code, error } = await mesh.obey(line);
    expect([code, error]).toEqual([1, expect.stringContaining(kept)]);
  }
  expect((await mesh.obey("get versions 1")).out).toBe(
    "version 1 is no longer kept: the oldest is version 2\n",
  );
  expect((await mesh.obey("get versions 9")).out).toBe("there is no version 9\n");
});
