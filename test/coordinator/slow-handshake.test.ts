/** A handshake that waits behind a thousand others is not cut off: seen by one that stops in its first message. */
import { expect, test } from "bun:test";
import { connect } from "node:net";
import { systemClock } from "../../src/host/clock/node.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { until } from "../program.ts";
import { RawSocket } from "../runtime/raw-socket.ts";
import { openCoordinator, served } from "./running-coordinator.ts";

test("the coordinator gives a handshake 15 s, as a whole mesh may come at once", async () => {
  const clock = new VirtualClock();
  const opened = await openCoordinator(systemClock);
  const { listener, port } = await served(opened, { clock });
  const slow = new RawSocket(connect(port, "127.0.0.1"));
  // The head of a record with a ClientHello.
  slow.send(Buffer.from([22, 3, 1, 1, 0, 1]));
  await until(() => clock.waiting, Boolean);
  clock.advance(14_000);
  expect(opened.recorders.logged).toEqual([]);
  clock.advance(2000);
  expect(opened.recorders.logged.map(({ message }) => message)).toEqual([
    expect.stringContaining("no TLS connection with a caller"),
  ]);
  expect(await slow.ended()).toBe("reset");
  await opened.coordinator.close();
  await listener.drain(0);
}, 20_000);
