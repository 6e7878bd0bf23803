/** Who may listen, and to what: one service does not take the room of the others, whatever its nodes say. */
import { beforeEach, describe, expect, test } from "bun:test";
import { Feed } from "../../../src/coordinator/feed/feed.ts";
import { Refusal } from "../../../src/coordinator/refusal.ts";
import { Registry } from "../../../src/coordinator/registry/registry.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { instance, meshService } from "../mesh-documents.ts";

const mesh = { trustDomain: "store.example", egress: "allow", removed: [], roots: "PEM" } as const;
const limits = { subscribers: 5, perService: 3, services: 4, unknownPerService: 6, unknownAlways: 1 };

let registry: Registry;
let feed: Feed;

beforeEach(() => {
  const clock = new VirtualClock();
  registry = new Registry({ clock, changed: (change) => feed.instancesChanged(change) });
  feed = new Feed({ clock, random: new SeededRandom(1), registry, mesh, limits });
});

/** Why not, or "none". */
function refusal(service: string, node: string, services = [service]): string {
  try {
    feed.subscribe({ service, node }, { node, services, known: {} }, () => {});
    return "none";
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return `${error.reason}: ${error.message}`;
  }
}

const full = 'too-many-subscriptions: 4 nodes of "payments" that listen: there may be 3';

test("one certificate under many node names is refused at its service's limit, and others listen", () => {
  const answers = Array.from({ length: 100 }, (_, at) => refusal("payments", `n${at}`));
  expect(answers).toEqual(["none", "none", "none", ...answers.slice(3).map(() => full)]);
  expect(feed.readings.subscribers).toBe(3);
  expect([refusal("accounts", "n0"), refusal("storefront", "n0")]).toEqual(["none", "none"]);
  expect(refusal("storefront", "n1")).toBe("too-many-subscriptions: 6 nodes that listen: there may be 5");
});

test("a node that listens may come again at its service's limit, and one that leaves makes room for one", () => {
  for (const node of ["a", "b", "c"]) refusal("payments", node);
  expect([refusal("payments", "b"), refusal("payments", "b"), refusal("payments", "d")]).toEqual([
    "none",
    "none",
    full,
  ]);
  const again = feed.subscribe(
    { service: "payments", node: "a" },
    { node: "a", services: [], known: {} },
    () => {},
  );
  again.end();
  again.end();
  expect([refusal("payments", "d"), refusal("payments", "e")]).toEqual(["none", full]);
});

test("a service that was removed and comes back begins with none", () => {
  for (const node of ["a", "b", "c"]) refusal("payments", node);
  feed.cutOff("payments");
  expect(["d", "e", "f", "g"].map((node) => refusal("payments", node))).toEqual([
    "none",
    "none",
    "none",
    full,
  ]);
});

describe("names that the mesh does not have", () => {
  const made = (of: string, count: number) => Array.from({ length: count }, (_, at) => `${of}-${at}`);
  const tooMany = (count: number, own: number) =>
    `too-many-subscriptions: ${count} names that the mesh does not have, named by the nodes of "payments" (${own} of them by this one): there may be 6`;

  test("are bounded for all nodes of a service together, so one certificate does not fill the memory", () => {
    expect(refusal("payments", "a", made("a", 4))).toBe("none");
    expect(refusal("payments", "b", made("b", 3))).toBe(tooMany(7, 3));
    expect(refusal("payments", "b", made("a", 3))).toBe(tooMany(7, 3));
    expect(refusal("payments", "b", made("b", 2))).toBe("none");
    // Whoever names few is no danger, and is not refused for what others name.
    expect(refusal("payments", "c", ["not-yet-applied"])).toBe("none");
    expect(refusal("accounts", "a", made("a", 4))).toBe("none");
  });

  test("are not those of the document nor of the registry", () => {
    feed.documentChanged(1, { services: made("d", 3).map((name) => meshService(name)), plugins: [] });
    registry.renew("joined-before", { node: "n", instances: [instance("j1", "joined-before")] });
    const known = [...made("d", 3), "joined-before"];
    expect(["a", "b", "c"].map((node) => refusal("payments", node, known))).toEqual(["none", "none", "none"]);
    expect(refusal("payments", "a", made("a", 4))).toBe("none");
  });

  test("count no more when a document brings them, and again when one takes them away", () => {
    expect(refusal("payments", "a", made("d", 4))).toBe("none");
    expect(refusal("payments", "b", made("b", 4))).toBe(tooMany(8, 4));
    feed.documentChanged(1, { services: made("d", 4).map((name) => meshService(name)), plugins: [] });
    expect(refusal("payments", "b", made("b", 4))).toBe("none");
    feed.documentChanged(2, { services: [], plugins: [] });
    expect(refusal("payments", "c", made("c", 2))).toBe(tooMany(10, 2));
  });

  test("of a node that comes again count once, of one that was refused its former feed goes on, and of one that leaves no more", () => {
    refusal("payments", "a", made("a", 4));
    expect([refusal("payments", "a", made("b", 4)), refusal("payments", "a", made("a", 4))]).toEqual([
      "none",
      "none",
    ]);
    expect(refusal("payments", "b", made("b", 2))).toBe("none");
    expect(refusal("payments", "b", made("b", 3))).toBe(tooMany(7, 3));
    expect(feed.subscribers()).toEqual([
      { caller: { service: "payments", node: "a" }, services: made("a", 4) },
      { caller: { service: "payments", node: "b" }, services: made("b", 2) },
    ]);
    expect(refusal("payments", "a", [])).toBe("none");
    expect(refusal("payments", "b", made("b", 4))).toBe("none");
    feed.cutOff("payments");
    expect(refusal("payments", "c", made("c", 4))).toBe("none");
    expect(refusal("payments", "d", made("d", 2))).toBe("none");
  });
});
