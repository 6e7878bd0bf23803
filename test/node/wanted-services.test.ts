import { expect, test } from "bun:test";
import { type FindServices, WANTED_MAX, WantedNames } from "../../src/node/wanted-services.ts";
import { RecordedLog, SteppedClock, turns } from "./service-watch/watching.ts";

function setting(find: FindServices) {
  const clock = new SteppedClock();
  const log = new RecordedLog();
  const missing: (readonly string[])[] = [];
  const asked: (readonly string[])[] = [];
  const wanted = new WantedNames({
    clock,
    log,
    find: (services) => {
      asked.push(services);
      return find(services);
    },
    missing: (services) => void missing.push(services),
  });
  return { clock, log, missing, asked, wanted };
}

test("WantedNames asks for what several workers want together, and tells all what there is not", async () => {
  const { wanted, asked, missing } = setting(async (services) =>
    services.filter((name) => name !== "orders"),
  );
  wanted.want("orders");
  wanted.want("orderz");
  wanted.want("orders");
  await turns();
  expect(asked).toEqual([["orders", "orderz"]]);
  expect(missing).toEqual([["orderz"]]);
});

test("WantedNames has one question at a time, with all that came meanwhile", async () => {
  const gates: (() => void)[] = [];
  const { wanted, asked, missing } = setting(
    () => new Promise((resolve) => void gates.push(() => resolve([]))),
  );
  wanted.want("a");
  await turns();
  for (const name of ["b", "c", "b"]) wanted.want(name);
  await turns();
  expect(asked).toEqual([["a"]]);
  gates[0]!();
  await turns();
  expect(asked).toEqual([["a"], ["b", "c"]]);
  expect(missing).toEqual([]);
});

test("WantedNames goes on when nobody answers, and when the answer is a failure", async () => {
  let time = 0;
  const { wanted, asked, clock, log, missing } = setting(() => {
    time += 1;
    if (time === 1) return new Promise(() => {});
    return time === 2 ? Promise.reject(new Error("the feed is closed")) : Promise.resolve(["c"]);
  });
  wanted.want("a");
  await turns();
  wanted.want("b");
  await clock.pass(2_000);
  wanted.want("c");
  await turns();
  expect(asked).toEqual([["a"], ["b"], ["c"]]);
  expect(log.taken()).toEqual(["warn services that callers want cannot be asked for"]);
  expect([missing, clock.waiting]).toEqual([[["c"]], 0]);
});

test("WantedNames asks for no more names at a time than its bound", async () => {
  const { wanted, asked } = setting(async () => []);
  for (let index = 0; index < WANTED_MAX + 10; index += 1) wanted.want(`s${index}`);
  await turns();
  expect(asked.map(({ length }) => length)).toEqual([WANTED_MAX]);
});
