import { expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { runFixedRate } from "../../bench/fixed-rate.ts";

const small = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const load = { path: "/", connections: 4, requestsPerSecond: 200, warmSeconds: 0, seconds: 1, bodyBytes: 5 };

/** Answers each request with what `answer` returns, in pieces; null closes the connection. */
async function withServer<Result>(
  answer: (count: number, socket: Socket) => readonly string[] | null,
  use: (port: number) => Promise<Result>,
): Promise<Result> {
  let count = 0;
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("data", async () => {
      const pieces = answer(++count, socket);
      if (pieces === null) socket.destroy();
      for (const piece of pieces ?? []) {
        socket.write(piece);
        await new Promise(setImmediate);
      }
    });
  });
  const port = await new Promise<number>((resolve) => {
    server.listen({ port: 0, host: "127.0.0.1" }, () => resolve((server.address() as { port: number }).port));
  });
  try {
    return await use(port);
  } finally {
    server.close();
  }
}

test("a fixed rate is kept, and every answer counts", async () => {
  const result = await withServer(
    () => [small],
    (port) => runFixedRate({ ...load, port }),
  );
  expect(result).toMatchObject({ requests: 200, failed: 0, unanswered: 0, example: null });
  expect(result.p50Us).toBeGreaterThan(0);
  expect(result.maxUs).toBeGreaterThanOrEqual(result.p99Us);
});

test("answers in pieces, in chunks and with other statuses are told apart", async () => {
  const pieces = ["HTTP/1.1 200 OK\r\ncontent-le", "ngth: 5\r\n\r\nhe", "llo"];
  const chunked = ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "0\r\n\r\n"];
  const inPieces = await withServer(
    (count) => (count % 2 === 0 ? pieces : chunked),
    (port) => runFixedRate({ ...load, port }),
  );
  expect(inPieces).toMatchObject({ requests: 200, failed: 0 });
  const wrong = await withServer(
    (count) =>
      count === 3 ? ["HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"] : count === 9 ? null : [small],
    (port) => runFixedRate({ ...load, port }),
  );
  expect(wrong).toMatchObject({ requests: 198, failed: 2, example: "wrong: HTTP/1.1 503 Busy" });
  const short = await withServer(
    () => ["HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhell"],
    (port) => runFixedRate({ ...load, seconds: 0.1, port }),
  );
  expect(short).toMatchObject({ requests: 0, failed: 20, example: "wrong: a body of 4 bytes, wanted 5" });
});

test("a stall is in the latency of every request that was due in it", async () => {
  const stallMs = 300;
  let until = 0;
  const result = await withServer(
    (count) => {
      if (count === 20) until = performance.now() + stallMs;
      // All connections wait at once: the event loop is held.
      while (performance.now() < until);
      return [small];
    },
    (port) => runFixedRate({ ...load, port }),
  );
  expect(result).toMatchObject({ requests: 200, failed: 0 });
  // 60 of 200 were due in it, of which a closed loop would have asked four.
  expect(result.maxUs).toBeGreaterThanOrEqual(stallMs * 1000);
  expect(result.p90Us).toBeGreaterThan(stallMs * 200);
});
