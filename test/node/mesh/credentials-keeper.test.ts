import { describe, expect, test } from "bun:test";
import { certificates } from "../../../src/host/certificates/node.ts";
import type { Credentials } from "../../../src/mesh.ts";
import { CoordinatorFault } from "../../../src/node/mesh/coordinator.ts";
import { CredentialsKeeper } from "../../../src/node/mesh/credentials-keeper.ts";
import type { OwnCredentials } from "../../../src/node/mesh/node-state.ts";
import { Recorders } from "../../../src/testing/recorders.ts";
import { SeededRandom } from "../../../src/testing/seeded-random.ts";
import { Authority, type Pair } from "../../certificates.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { settled } from "./fake-coordinator.ts";

const hourMs = 3_600_000;
const authority = await Authority.make("CN=mesh root");
const rogue = await Authority.make("CN=rogue root");
const identity = "spiffe://store.example/payments";

/** The clock of the wall as the certificates have it, which are made for today. */
class TodayClock extends VirtualClock {
  readonly #startEpochMs = Date.now();
  override epochMs(): number {
    return this.#startEpochMs + this.now();
  }
}

function credentials({ certificate }: Pair, changed: Partial<Credentials> = {}): Credentials {
  const facts = { trustDomain: "store.example", identity, startsEpochMs: 0, expiresEpochMs: 0 };
  return { ...facts, certificate, roots: authority.certificate, ...changed };
}

const leaf = (uris = [identity], from = authority, endsDays = 1) =>
  from.issue({ uris, names: ["payments.mesh"], startsDays: 0, endsDays });

interface Setting {
  readonly kept?: OwnCredentials;
  readonly given?: (pair: Pair) => Credentials;
  readonly issue?: () => Promise<Pair>;
}

/** Certificates of tests are made with their keys: a key that was asked for comes from the same place. */
function keeping({ kept, given = credentials, issue = leaf }: Setting = {}) {
  const clock = new TodayClock();
  const recorders = new Recorders(() => {});
  const tokens: string[] = [];
  const stored: OwnCredentials[] = kept === undefined ? [] : [kept];
  const calls = { join: 0, renew: 0, renewed: 0 };
  let fault: Error | null = null;
  let coming: Pair;
  let making: Promise<unknown> = Promise.resolve();
  const answer = async () => {
    if (fault !== null) throw fault;
    return given(coming);
  };
  const keeper = new CredentialsKeeper({
    clock,
    random: new SeededRandom(1),
    log: recorders.log,
    service: "payments",
    certificates,
    state: {
      credentials: async () => stored.at(-1) ?? null,
      keepCredentials: async (own) => void stored.push(own),
    },
    async makeKey() {
      const issuing = issue();
      making = issuing;
      coming = await issuing;
      return { key: coming.key, request: "a request" };
    },
    join({ token }) {
      calls.join++;
      tokens.push(token);
      return answer();
    },
    renew() {
      calls.renew++;
      return answer();
    },
    renewed: () => calls.renewed++,
  });
  const pass = async (ms: number, stepMs = 60_000) => {
    for (let left = ms; left > 0; left -= stepMs) {
      clock.advance(Math.min(left, stepMs));
      // A key is made in real time: virtual time waits for it.
      await making;
      await settled();
      await Bun.sleep(0);
    }
  };
  const fail = (error: Error | null) => {
    fault = error;
  };
  const obtain = (token: string | null = "a token") =>
    keeper.obtain(
      async () => token,
      () => false,
    );
  return { clock, keeper, calls, tokens, stored, pass, fail, obtain, logged: recorders.logged };
}

const away = new CoordinatorFault("unreachable", "connection refused", "later");

describe("CredentialsKeeper", () => {
  test("joins with the token, and keeps what it got", async () => {
    const { keeper, obtain, tokens, stored } = keeping();
    await obtain();
    expect(tokens).toEqual(["a token"]);
    expect(keeper.own.identity).toBe(identity);
    expect(stored.at(-1)).toEqual(keeper.own);
    expect(keeper.warning()).toBeNull();
  });

  test("a restart with a certificate that holds needs no token", async () => {
    const first = keeping();
    await first.obtain();
    const again = keeping({ kept: first.stored.at(-1)! });
    await again.obtain(null);
    expect(again.calls.join).toBe(0);
    expect(again.keeper.own.certificate).toBe(first.keeper.own.certificate);
  });

  test("without a token, and with one that ended, it says what to do", async () => {
    await expect(keeping().obtain(null)).rejects.toThrow("clearway token create --service payments");
    const first = keeping();
    await first.obtain();
    const ended = { ...first.stored.at(-1)!, expiresEpochMs: Date.now() - 1 };
    await expect(keeping({ kept: ended }).obtain(null)).rejects.toThrow(/kept there ended at .*join token/);
    const other = { ...first.stored.at(-1)!, identity: "spiffe://store.example/products" };
    await expect(keeping({ kept: other }).obtain()).rejects.toThrow("products, not of payments");
  });

  test("joins as soon as the coordinator is there; a token that is refused is not tried again", async () => {
    const pair = await leaf();
    const { keeper, calls, obtain, fail, pass } = keeping({ issue: async () => pair });
    fail(away);
    const joining = obtain();
    await pass(20_000, 1_000);
    expect(calls.join).toBeGreaterThan(3);
    fail(null);
    await pass(10_000, 1_000);
    await joining;
    expect(keeper.own.identity).toBe(identity);
    for (const [reason, again] of [
      ["token-used-up", "never"],
      ["token-foreign", "elsewhere"],
    ] as const) {
      const refused = keeping();
      refused.fail(new CoordinatorFault(reason, "this token is none", again));
      await expect(refused.obtain()).rejects.toThrow(
        "this token is none; make another one with `clearway token create --service payments`",
      );
      expect(refused.calls.join).toBe(1);
    }
  });

  test("a token that does not help a node whose certificate ended: it says both", async () => {
    const first = keeping();
    await first.obtain();
    const again = keeping({ kept: { ...first.stored.at(-1)!, expiresEpochMs: Date.now() - 1 } });
    again.fail(new CoordinatorFault("token-expired", "the token expired", "never"));
    await expect(again.obtain()).rejects.toThrow(
      /^the certificate kept there ended at \S+; the token expired; make another one with/,
    );
  });

  test("a token of another service is not sent", async () => {
    const { obtain, calls } = keeping();
    const claims = Buffer.from(JSON.stringify({ sub: "accounts", uses: 1 })).toString("base64url");
    await expect(obtain(`head.${claims}.signature`)).rejects.toThrow(
      'the join token is for "accounts", not for payments',
    );
    expect(calls.join).toBe(0);
  });

  test("refuses a certificate of another authority, service, key or number of names, and one of an authority", async () => {
    const cases: readonly [Setting, string][] = [
      [{ issue: () => leaf([identity], rogue) }, "none of the authorities vouches for it"],
      [{ issue: () => leaf(["spiffe://store.example/products"]) }, "products, wanted"],
      [{ issue: () => leaf([identity, "spiffe://store.example/products"]) }, "products, wanted"],
      [
        { given: (pair) => credentials(pair, { identity: "spiffe://other.example/payments" }) },
        "it is for spiffe://other",
      ],
      [
        { given: () => credentials({ certificate: authority.certificate, key: "" }) },
        "authority's, not a node's",
      ],
    ];
    for (const [setting, words] of cases) await expect(keeping(setting).obtain()).rejects.toThrow(words);
    const other = await leaf();
    await expect(keeping({ given: () => credentials(other) }).obtain()).rejects.toThrow("another key");
  });

  test("renews before half of the life is over, with a new key, and keeps it", async () => {
    const { keeper, calls, obtain, stored, pass } = keeping();
    await obtain();
    const first = keeper.own;
    keeper.start();
    await pass(8 * hourMs);
    expect(calls.renew).toBe(0);
    await pass(4 * hourMs);
    expect(calls).toMatchObject({ renew: 1, renewed: 1 });
    expect(keeper.own.key).not.toBe(first.key);
    expect(stored.at(-1)).toEqual(keeper.own);
    keeper.close();
  });

  test("while the coordinator is away it goes on trying, warns, and says loudly when time runs out", async () => {
    // Made once: there will be hundreds of tries.
    const pairs = [await leaf(), await leaf([identity], authority, 3)];
    const issue = async () => (pairs.length > 1 ? pairs.shift()! : pairs[0]!);
    const { keeper, calls, obtain, fail, pass, logged } = keeping({ issue });
    await obtain();
    fail(away);
    keeper.start();
    await pass(13 * hourMs);
    expect(calls.renew).toBeGreaterThan(10);
    expect(keeper.warning()).toMatch(/ends at .* \(in 6\d\d min\); renewing it fails: connection refused/);
    expect(new Set(logged.map(({ level }) => level))).toEqual(new Set(["warn"]));
    await pass(8 * hourMs);
    expect(logged.at(-1)).toMatchObject({ level: "error", message: expect.stringContaining("ends at") });
    await pass(4 * hourMs);
    expect(logged.at(-1)!.message).toContain("nobody in the mesh believes it");
    // Said, but not at each try.
    expect(logged.length).toBeLessThan(200);
    fail(null);
    await pass(120_000);
    expect(keeper.warning()).toBeNull();
    keeper.close();
  });
});
