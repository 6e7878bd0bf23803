import { expect, test } from "bun:test";
import { ServiceStatus } from "../../src/node/service-status.ts";
import { VirtualClock } from "../virtual-clock.ts";

function listen(environment: Record<string, string> = {}) {
  const told: string[] = [];
  const clock = new VirtualClock();
  const manager = { notify: (lines: readonly string[]) => void told.push(lines.join(" ")) };
  return { told, clock, status: new ServiceStatus({ clock, manager, environment }) };
}

test("ServiceStatus tells the service manager that the node is ready, refused a file, and stops", () => {
  const { told, status } = listen();
  status.serves(1);
  status.refused(2, 1);
  status.stopping();
  expect(told).toEqual([
    "READY=1 STATUS=Serves version 1",
    "STATUS=Serves version 1; the file has 2 problems",
    "STOPPING=1 STATUS=Draining",
  ]);
});

test("ServiceStatus feeds the watchdog at half of its time, until the end", () => {
  const { told, clock, status } = listen({ WATCHDOG_USEC: "30000000" });
  clock.advance(45_000);
  expect(told).toEqual(["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
  status.ended();
  clock.advance(60_000);
  expect(told).toHaveLength(3);
});

test("ServiceStatus has no watchdog where none was asked for", () => {
  const { told, clock } = listen();
  clock.advance(600_000);
  expect(told).toEqual([]);
});
