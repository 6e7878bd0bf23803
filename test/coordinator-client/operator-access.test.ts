import { expect, test } from "bun:test";
import { operatorAccess } from "../../src/coordinator-client/operator-access.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { secureFetch } from "../../src/host/fetch/bun.ts";
import { freePort } from "../free-ports.ts";
import { VirtualClock } from "../virtual-clock.ts";

function access(environment: Record<string, string>, file: string | Error, coordinator = "127.0.0.1:1") {
  const read = async () => {
    if (file instanceof Error) throw file;
    return file;
  };
  const parts = { clock: new VirtualClock(), fetch: secureFetch, files: { read }, environment };
  return operatorAccess(parts, coordinator).then(
    () => "given",
    ({ message }: Error) => message,
  );
}

test("operator's token comes from CLEARWAY_TOKEN, else from the file that the coordinator wrote", async () => {
  const absent = Object.assign(new Error("no such file"), { code: "ENOENT" });
  expect(await access({ CLEARWAY_TOKEN: "a.b.c" }, absent)).toBe("given");
  expect(await access({}, "a.b.c\n")).toBe("given");
  expect(await access({ CLEARWAY_TOKEN: " " }, absent)).toBe(
    "there is no operator's token: set CLEARWAY_TOKEN, or run this where the coordinator wrote .clearway/operator.token",
  );
  const closed = Object.assign(new Error("permission denied"), { code: "EACCES" });
  expect(await access({}, closed)).toBe("cannot read .clearway/operator.token: permission denied");
  expect(await access({}, "a.b.c", "http://127.0.0.1:1")).toContain("wanted https://HOST:PORT");
});

test("operator is told what to do when nobody answers, and where a token came from that does not hold", async () => {
  const said = (environment: Record<string, string>, file: string, coordinator: string) =>
    operatorAccess(
      { clock: systemClock, fetch: secureFetch, files: { read: async () => file }, environment },
      coordinator,
    )
      .then(({ get }) => get("/v1/versions"))
      .catch(({ message }: Error) => message);
  const nobody = `127.0.0.1:${await freePort()}`;
  const root = Buffer.from(JSON.stringify({ root: "root-of-a-mesh" })).toString("base64url");
  expect(await said({}, `head.${root}.signature`, nobody)).toBe(
    `cannot reach the coordinator at https://${nobody}: connection refused; is it running there? ` +
      "--coordinator URL names another place",
  );
  const cut = "this is no operator's token; it may have been cut when it was copied; it was read from";
  expect(await said({}, "a.b.c", nobody)).toBe(`${cut} .clearway/operator.token`);
  expect(await said({ CLEARWAY_TOKEN: "a.b.c" }, "", nobody)).toBe(
    `${cut} CLEARWAY_TOKEN; the coordinator keeps the one that holds in .clearway/operator.token`,
  );
});
