import { expect, test } from "bun:test";
import { columns, shortId, shortTime } from "../../src/cli/table.ts";

test("columns are as wide as their widest cell, two spaces apart, with nothing behind the last", () => {
  const rows = [
    ["storefront", "1", "-"],
    ["a", "1000", ""],
  ];
  expect(columns(["SERVICE", "N", "ZONE"], rows)).toBe(
    "SERVICE     N     ZONE\nstorefront  1     -\na           1000",
  );
  expect(columns(["SERVICE", "N"], [])).toBe("SERVICE  N");
});

// Seen: 5,000 rows took 40 s, and more than 65,000 did not fit into one call's arguments.
test("columns of all instances that a mesh may have are made at once", () => {
  const rows = Array.from({ length: 100_000 }, (_, index) => [`service-${index}`, "healthy", "v1"]);
  const lines = columns(["SERVICE", "STATE", "VERSION"], rows).split("\n");
  expect(lines.length).toBe(100_001);
  expect(lines.at(-1)).toBe("service-99999  healthy  v1");
});

test("shortId keeps the first digits of an id that was drawn, and any name as it is", () => {
  expect(shortId("0123456789abcdef0123456789abcdef")).toBe("01234567…");
  for (const name of ["payments", "0123456789abcdef", "0123456789ABCDEF0123456789ABCDEF", "-"]) {
    expect(shortId(name)).toBe(name);
  }
});

test("shortTime is the two largest units", () => {
  expect([12_000, 240_000, 18_720_000, 273_600_000].map(shortTime)).toEqual(["12s", "4m", "5h 12m", "3d 4h"]);
});
