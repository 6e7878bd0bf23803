/** What a sidecar says when it cannot start, and where its token may come from. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { meshService } from "../node/mesh/nouns.ts";
import { ready, type SidecarWish, type StartedSidecar, startSidecar } from "./sidecars.ts";

let coordinator: HttpsCoordinator;
let payments: StartedSidecar;
let token: string;
const sidecars: StartedSidecar[] = [];
/** Nobody is there, and nobody asks. */
const app = 9;

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  coordinator.rules.set("payments", meshService("payments"));
  await coordinator.start();
  token = await coordinator.token("payments");
  payments = await begin({ token });
  await ready(payments);
});

afterAll(async () => {
  await Promise.all(sidecars.map(({ running }) => running.stop()));
  await coordinator.stop();
});

async function begin(wish: Partial<SidecarWish>): Promise<StartedSidecar> {
  const sidecar = await startSidecar({ service: "payments", app, coordinator: coordinator.url, ...wish });
  sidecars.push(sidecar);
  return sidecar;
}

/** What it says in one line. */
async function failure(wish: Partial<SidecarWish>): Promise<string> {
  const { running } = await begin(wish);
  expect(await running.ended).toBe(1);
  const lines = running.output().trimEnd().split("\n");
  expect(lines.length).toBe(1);
  expect(lines[0]).toStartWith("clearway: ");
  return lines[0]!;
}

describe("a sidecar that cannot start", () => {
  test("names --state when another one has its folder", async () => {
    expect(await failure({ token, state: payments.state })).toBe(
      `clearway: another node uses the state folder ${payments.state}: give this one a folder of its own with --state`,
    );
    expect(await failure({ token, state: "/proc/payments" })).toContain("choose another with --state");
  });

  test("says how to get a token, and why one is refused", async () => {
    expect(await failure({})).toContain("clearway token create --service payments");
    const used = { service: "nobody", token: await coordinator.token("nobody") };
    expect(await failure(used)).toContain("this token was used: create another");
    expect(await failure({ token: "nonsense" })).toContain("this is no join token");
    expect(await failure({ service: "accounts", token })).toContain(
      "it is for spiffe://store.example/payments, wanted spiffe://store.example/accounts",
    );
  });

  test("names the flag of an address that is taken", async () => {
    const inbound = `127.0.0.1:${payments.inbound}`;
    const upstream = `127.0.0.1:${payments.outbound}`;
    expect(await failure({ token, more: ["--inbound", inbound] })).toBe(
      `clearway: cannot listen on ${inbound}: the address is in use; choose another with --inbound HOST:PORT`,
    );
    expect(await failure({ token, more: ["--upstream", `storefront=${upstream}`] })).toContain(
      "choose another with --upstream SERVICE=HOST:PORT",
    );
    const admin = `127.0.0.1:${payments.admin}`;
    expect(await failure({ token, more: ["--admin", admin] })).toContain(
      "choose another with --admin HOST:PORT",
    );
  });

  test("quotes a flag that it cannot read", async () => {
    const cases: readonly [readonly string[], string][] = [
      [["--app", "8080"], 'cannot read "8080" after --app: wanted an address such as'],
      [["--coordinator", "http://10.0.0.1"], 'cannot read "http://10.0.0.1"'],
      [["--upstream", "127.0.0.1:9101"], "wanted SERVICE=HOST:PORT"],
      [
        ["--service", "operator.token"],
        'cannot read "operator.token" after --service: wanted a name of at most 63',
      ],
      [["--upstream", "Payments=127.0.0.1:9101"], 'cannot read "Payments" after --upstream: wanted a name'],
      [["--zone", "eu west"], 'cannot read "eu west" after --zone: wanted a name of at most 63'],
      [["--drain", "30"], 'cannot read "30" after --drain: wanted a duration'],
      [["--inbound", "unix:/run/a.sock"], "--inbound cannot be a socket file"],
      [["--transparent"], "--transparent comes later"],
    ];
    const said = await Promise.all(cases.map(([more]) => failure({ token, more })));
    for (const [index, [, words]] of cases.entries()) expect(said[index]).toContain(words);
  });
});

test("a sidecar with --no-plugins refuses what names code, and says so", async () => {
  const source = { kind: "bundle" as const, text: "export default 1", imports: [] };
  coordinator.rules.set("audited", meshService("audited"));
  coordinator.plugins.set("audited", [{ name: "./plugins/audit.ts", version: "1", source }]);
  const audited = { service: "audited", token: await coordinator.token("audited") };
  const sidecar = await begin({ ...audited, more: ["--no-plugins"] });
  await ready(sidecar);
  const said = await (await fetch(`http://127.0.0.1:${sidecar.admin}/readyz`)).text();
  expect(said).toContain("the mesh document brings code, ./plugins/audit.ts, which --no-plugins refuses");
});

test("a sidecar takes the token from a file, its last line", async () => {
  const file = join(payments.state, "token");
  writeFileSync(file, `a token for payments, for 10 minutes:\n${token}\n`);
  await ready(await begin({ more: ["--token-file", file] }));
  const missing = await failure({ more: ["--token-file", `${file}.none`] });
  expect(missing).toContain("there is no such file (--token-file)");
});
