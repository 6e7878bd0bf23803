import { describe, expect, test } from "bun:test";
import type { Address } from "../../../src/machine.ts";
import { readSidecarRole, type WrittenSidecar } from "../../../src/node/mesh/sidecar-arguments.ts";

const written: WrittenSidecar = {
  ...{ service: "payments", app: null, coordinator: "https://10.0.0.1:9800" },
  ...{ inbound: "0.0.0.0:4143", outbound: "127.0.0.1:4140", admin: "127.0.0.1:0" },
  ...{ version: null, zone: null, advertise: null, upstreams: [], state: ".clearway/payments" },
  ...{ drain: "30s", transparent: "no", plugins: "yes" },
};

function read(app: string | null, environment: Readonly<Record<string, string>>) {
  const bound: Address[] = [];
  const tryBind = async (address: Address) => {
    bound.push(address);
    return { host: "127.0.0.1", port: 41_234 };
  };
  const reading = readSidecarRole({ ...written, app }, { format: "json", environment, tryBind });
  return reading.then((read) => ({
    bound,
    read: typeof read === "string" ? read : { app: read.role.app, variables: read.variables },
  }));
}

describe("readSidecarRole, where nobody says where the command listens", () => {
  test("takes a free port of loopback, and tells the command by PORT", async () => {
    expect(await read(null, {})).toEqual({
      bound: [{ host: "127.0.0.1", port: 0 }],
      read: { app: { host: "127.0.0.1", port: 41_234 }, variables: { PORT: "41234" } },
    });
  });

  test("takes the port that the environment has in PORT, up to the last there is", async () => {
    for (const port of [1, 8080, 65_535]) {
      expect(await read(null, { PORT: String(port) })).toEqual({
        bound: [],
        read: { app: { host: "127.0.0.1", port }, variables: {} },
      });
    }
    for (const PORT of ["0", "65536", "080", "8080 ", "http", "99999999"]) {
      expect((await read(null, { PORT })).read).toBe(
        `cannot read ${JSON.stringify(PORT)} in PORT: wanted a port from 1 to 65535, where the command listens; or say --app HOST:PORT`,
      );
    }
  });

  test("what --app says goes before PORT", async () => {
    expect(await read("127.0.0.1:9001", { PORT: "http" })).toEqual({
      bound: [],
      read: { app: { host: "127.0.0.1", port: 9001 }, variables: {} },
    });
  });
});
