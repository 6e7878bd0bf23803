/** A coordinator whose store takes nothing any more, over real sockets: what goes on, what does not, and what was lost. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requestCertificate } from "../../src/certificate-request.ts";
import type { CheckedDocument, FeedMessage } from "../../src/mesh.ts";
import { instance } from "./mesh-documents.ts";
import { startWhole } from "./whole-coordinator.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-full-store-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const document: CheckedDocument = {
  files: [{ name: "mesh.yaml", text: "trustDomain: store.example" }],
  config: { trustDomain: "store.example", egress: "allow", services: [], plugins: [] },
  resolved: {},
};

const faults = {
  "is full": { fault: "full", reason: "store-full" },
  "may not be written": { fault: "read-only", reason: "store-read-only" },
} as const;

const reasonOf = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: { reason?: string; again?: string }) => `${error.reason} ${error.again}`,
  );

describe("coordinator", () => {
  for (const [name, { fault, reason }] of Object.entries(faults)) {
    test(`whose store ${name} keeps its nodes, renews their certificates, and says why it takes no others`, async () => {
      const { coordinator, database, operator, logged, node } = await startWhole({
        path: join(folder, name, "coordinator.sqlite"),
        document,
      });
      const wish = { service: "payments", ttlMs: 60_000, uses: 1 };
      const tokens = await Promise.all(
        [1, 2].map(() => operator.post<{ token: string }>("/v1/tokens", wish)),
      );
      const [first, second] = tokens.map(({ token }) => token);
      const { key, request } = await requestCertificate();
      const joined = await node.join({ token: first!, request });
      const own = { ...joined, key, obtainedEpochMs: Date.now() };
      await node.lease({ node: "n1", instances: [instance("a", "payments")] }, own);
      const feed = await node.feed({ node: "n1", services: ["payments"], known: {} }, own);
      const messages = feed.messages[Symbol.asyncIterator]();
      const told = async (wanted: (message: FeedMessage) => boolean) => {
        for (;;) {
          const { value, done } = await messages.next();
          if (done === true) throw new Error("the feed ended");
          if (wanted(value)) return value;
        }
      };
      await told(({ kind }) => kind === "live");
      database.fault = fault;

      // What there is goes on.
      await node.lease(
        { node: "n1", instances: [instance("a", "payments"), instance("b", "payments")] },
        own,
      );
      await told((message) => message.kind === "changed" && message.put.some(({ id }) => id === "b"));
      expect((await node.renew({ request }, own)).identity).toBe("spiffe://store.example/payments");
      expect(logged.map(({ message }) => message)).toContain("a certificate was issued and not recorded");
      expect(await operator.get<object>("/v1/versions")).toMatchObject({ versions: [{ version: 1 }] });

      // What has to be remembered does not.
      const other = await requestCertificate();
      expect(await reasonOf(node.join({ token: second!, request: other.request }))).toBe(`${reason} later`);
      const files = [{ name: "mesh.yaml", text: "x".repeat(10_000) }];
      expect(await reasonOf(operator.put("/v1/document", { files, checked: null, base: 1 }))).toBe(
        `${reason} later`,
      );

      // Nothing was lost, and nothing was used up.
      database.fault = null;
      expect(await reasonOf(node.join({ token: second!, request: other.request }))).toBe("none");
      const applied = await operator.put<object>("/v1/document", { files, checked: null, base: 1 });
      expect(applied).toMatchObject({ version: 2 });
      feed.close();
      await coordinator.close();
    });
  }
});
