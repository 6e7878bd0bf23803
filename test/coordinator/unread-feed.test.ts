/** A node that reads nothing of its feed: the connection goes with the feed, over a real socket. */
import { expect, test } from "bun:test";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { until } from "../program.ts";
import { meshService } from "./mesh-documents.ts";
import {
  issued,
  KeptDocuments,
  type OpenedCoordinator,
  openCoordinator,
  type ServedCoordinator,
  served,
} from "./running-coordinator.ts";

/** TLS looks at the real time. */
class DatedClock extends VirtualClock {
  override epochMs(): number {
    return Date.now();
  }
}

/** More than the buffers of both ends take. */
const serviceCount = 16;
const longName = "x".repeat(4 * 1024 * 1024);
const services = Array.from({ length: serviceCount }, (_, at) => `s${at}`);

test("a feed that is cut off as nobody reads it takes its connection with it at once, not after 5 min of silence", async () => {
  const clock = new DatedClock();
  const opened = await openCoordinator(clock);
  await new KeptDocuments(opened.store).keep(
    1,
    "ann",
    services.map((name) => ({ ...meshService(name), place: { file: longName, line: 1 } })),
  );
  await opened.coordinator.adopt();
  const at = await served(opened);
  const silent = await listeningInSilence(opened, at);
  await until(
    () => metric(opened, "subscribers"),
    (count) => count === 1,
  );
  await until(
    () => metric(opened, "feed_bytes_total"),
    (bytes) => bytes > longName.length,
  );
  clock.advance(70_000);
  expect(await metric(opened, "subscribers")).toBe(0);
  expect(await metric(opened, "feed_cut_off_total")).toBe(1);
  // Ends only when no connection is left, and forces none before the limit on this test.
  await at.listener.drain(600_000);
  silent.close();
  await opened.coordinator.close();
}, 20_000);

async function metric({ coordinator }: OpenedCoordinator, name: string): Promise<number> {
  const text = await (await coordinator.app.request("/metrics")).text();
  return Number(text.match(new RegExp(`^clearway_coordinator_${name} (.*)$`, "m"))?.[1]);
}

/** Asks for its feed, and takes the first bytes of it alone. */
async function listeningInSilence(opened: OpenedCoordinator, { port }: ServedCoordinator) {
  const { certificate, key } = await issued(opened, "storefront");
  const body = JSON.stringify({ node: "n", services, known: {} });
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    tls: { ca: opened.authority.roots, cert: certificate, key, serverName: "localhost" },
    socket: {
      open() {},
      handshake(opened) {
        opened.write(
          `POST /v1/feed HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        );
      },
      data(opened) {
        opened.pause();
      },
    },
  });
  return { close: () => socket.terminate() };
}
