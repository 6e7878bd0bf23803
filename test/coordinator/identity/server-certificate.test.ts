import { describe, expect, test } from "bun:test";
import type { ServerCertificate } from "../../../src/coordinator/identity/authority.ts";
import { ServerCertificateKeeper } from "../../../src/coordinator/identity/server-certificate.ts";
import { serverNames } from "../../../src/coordinator/identity/server-names.ts";
import { Recorders } from "../../../src/testing/recorders.ts";
import { until } from "../../program.ts";
import { hourMs, makeAuthority } from "./parts.ts";

describe("coordinator's own certificate", () => {
  test("is made again when half of its life is over, and said when it cannot be", async () => {
    const { authority, clock } = await makeAuthority();
    const { log, logged } = new Recorders(() => {});
    const names = serverNames("127.0.0.1", []);
    const keeper = await ServerCertificateKeeper.open({ clock, log, authority, names });
    const first = keeper.current;
    const seen: ServerCertificate[] = [];
    keeper.start((next) => seen.push(next));
    clock.advance(11 * hourMs);
    expect([seen.length, keeper.current]).toEqual([0, first]);
    clock.advance(hourMs);
    await until(
      () => seen.length,
      (count) => count > 0,
    );
    expect(seen.map(({ key }) => key)).not.toContain(first.key);
    expect(keeper.current.expiresEpochMs).toBeGreaterThan(clock.epochMs() + 23 * hourMs);
    authority.issueServer = async () => {
      throw new Error("the mesh's authority ended");
    };
    clock.advance(13 * hourMs);
    await until(
      () => logged.length,
      (count) => count > 0,
    );
    expect(logged[0]?.fields.why).toBe("the mesh's authority ended");
    keeper.close();
    expect(clock.waiting).toBe(0);
  });

  test("names what people dial, and no service", () => {
    expect(serverNames("0.0.0.0", ["Mesh.Internal", "10.0.0.1", "coordinator.mesh"])).toEqual({
      dns: ["localhost", "mesh.internal"],
      addresses: ["127.0.0.1", "::1", "10.0.0.1"],
    });
    expect(serverNames("10.0.0.7", ["fd00::1"]).addresses).toEqual([
      "127.0.0.1",
      "::1",
      "10.0.0.7",
      "fd00::1",
    ]);
    expect(() => serverNames("127.0.0.1", ["a_b"])).toThrow('cannot read "a_b" after --name');
    expect(() => serverNames("127.0.0.1", ["accounts.MESH"])).toThrow("names in .mesh are those of services");
    expect(() => serverNames("127.0.0.1", Array(33).fill("a"))).toThrow("at most 32");
  });
});
