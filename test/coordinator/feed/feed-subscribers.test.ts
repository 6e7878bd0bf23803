/** Who may listen: one service does not take the room of the others, whatever its nodes call themselves. */
import { beforeEach, expect, test } from "bun:test";
import { Feed } from "../../../src/coordinator/feed/feed.ts";
import { Refusal } from "../../../src/coordinator/refusal.ts";
import { Registry } from "../../../src/coordinator/registry/registry.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";

const mesh = { trustDomain: "store.example", egress: "allow", removed: [], roots: "PEM" } as const;
const limits = { subscribers: 5, perService: 3, services: 4 };

let feed: Feed;

beforeEach(() => {
  const clock = new VirtualClock();
  const registry = new Registry({ clock, changed: () => {} });
  feed = new Feed({ clock, random: new SeededRandom(1), registry, mesh, limits });
});

/** Why not, or "none". */
function refusal(service: string, node: string): string {
  try {
    feed.subscribe({ service, node }, { node, services: [service], known: {} }, () => {});
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
