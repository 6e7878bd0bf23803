import { expect, test } from "bun:test";
import { ASKED_MAX, AskedServices } from "../../../src/node/mesh/asked-services.ts";
import type { MeshKnowledge } from "../../../src/node/mesh/mesh-view.ts";
import { SteppedClock, turns } from "../service-watch/watching.ts";
import { meshService } from "./nouns.ts";

/** A mesh that says what `say` has it say, of what is followed. */
function setting() {
  const clock = new SteppedClock();
  const heard = new Map<string, "known" | "missing">();
  const followed: string[] = [];
  const asked: AskedServices = new AskedServices({
    clock,
    knowledge: () =>
      ({
        services: Object.fromEntries(
          [...heard].map(([name, state]) => [
            name,
            { rules: { tag: name, service: state === "known" ? meshService(name) : null, plugins: [] } },
          ]),
        ),
      }) as unknown as MeshKnowledge,
    follow: () => {
      followed.push(asked.subscribed.join());
      // As the node does: what it does not follow it forgets.
      for (const name of [...heard.keys()]) if (!asked.subscribed.includes(name)) heard.delete(name);
    },
  });
  const say = (name: string, state: "known" | "missing") => {
    heard.set(name, state);
    asked.heard();
  };
  const find = (...services: readonly string[]) => {
    const found = { missing: null as readonly string[] | null };
    void asked.find(services).then((missing) => {
      found.missing = missing;
    });
    return found;
  };
  return { clock, heard, followed, asked, say, find };
}

test("AskedServices has what the mesh has, and says what it has not, when all is heard", async () => {
  const { asked, say, find, followed } = setting();
  const found = find("orders", "orderz");
  expect(asked.subscribed).toEqual(["orders", "orderz"]);
  say("orders", "known");
  await turns();
  expect([asked.used, found.missing]).toEqual([["orders"], null]);
  say("orderz", "missing");
  await turns();
  expect(found.missing).toEqual(["orderz"]);
  expect([asked.used, asked.subscribed]).toEqual([["orders"], ["orders"]]);
  expect(followed).toEqual(["orders,orderz"]);
});

test("AskedServices calls nothing missing that it did not hear of in time", async () => {
  const { say, find, clock, asked } = setting();
  const found = find("orders", "orderz", "accounts");
  say("orderz", "missing");
  await clock.pass(2_000);
  expect([found.missing, clock.waiting]).toEqual([["orderz"], 0]);
  expect(asked.subscribed).toEqual([]);
});

test("AskedServices asks anew for what was missing once", async () => {
  const { say, find, asked } = setting();
  find("orders");
  say("orders", "missing");
  await turns();
  const again = find("orders");
  await turns();
  expect(again.missing).toBeNull();
  say("orders", "known");
  await turns();
  expect([again.missing, asked.used]).toEqual([[], ["orders"]]);
});

test("AskedServices lets a service go that the mesh document has no more", () => {
  const { say, find, asked } = setting();
  find("orders");
  say("orders", "known");
  say("orders", "missing");
  expect(asked.used).toEqual([]);
});

test("AskedServices goes on with what its last run used, as far as that is known", () => {
  const { heard, asked } = setting();
  heard.set("orders", "known");
  heard.set("orderz", "missing");
  asked.restore(["orders", "orderz", "accounts"]);
  expect(asked.used).toEqual(["orders"]);
});

test("AskedServices forgets the first of more than its bound", () => {
  const { heard, asked } = setting();
  const names = Array.from({ length: ASKED_MAX + 1 }, (_, index) => `s${index}`);
  for (const name of names) heard.set(name, "known");
  asked.restore(names);
  expect([asked.used.length, asked.used[0]]).toEqual([ASKED_MAX, "s1"]);
});
