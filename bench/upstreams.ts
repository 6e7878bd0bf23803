/**
 * The services behind the balancing and retry rows, in one process: `upstreams.ts PORT,PORT,... [CONDITION]`. `/counts`
 * on any of them says how many requests each got.
 */
import { createServer, type Socket } from "node:net";

/** How long a service takes for an answer; each time up to a fifth more or less. */
const wellMs = 5;
const slowMs = 50;
const spread = 0.2;

/** Who answers 503, by the condition they are in. */
const conditions: Readonly<Record<string, (index: number) => boolean>> = {
  "one-slow-one-failing": (index) => index === 1,
  "three-failing": (index) => index < 3,
  "tenth-failing": () => Math.random() < 0.1,
  "all-failing": () => true,
};

const body = "hello world, this is a small body of some bytes\n";
const ports = (process.argv[2] ?? "").split(",").map(Number);
const condition = process.argv[3] ?? "one-slow-one-failing";
const fails = conditions[condition]!;
const counts = ports.map(() => 0);

function answer(status: string, text: string): string {
  return `HTTP/1.1 ${status}\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
}

function serve(socket: Socket, index: number, head: string): void {
  if (head.startsWith("GET /counts ")) {
    socket.write(answer("200 OK", JSON.stringify(counts)));
    return;
  }
  counts[index]!++;
  // A broken service says so at once, and so has always the fewest requests in flight.
  if (fails(index)) {
    socket.write(answer("503 Service Unavailable", "broken\n"));
    return;
  }
  const middleMs = index === 0 && condition === "one-slow-one-failing" ? slowMs : wellMs;
  const takenMs = middleMs * (1 + spread * (2 * Math.random() - 1));
  setTimeout(() => socket.writable && socket.write(answer("200 OK", body)), takenMs);
}

for (const [index, port] of ports.entries()) {
  const server = createServer((socket) => {
    let received = "";
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      // Requests without bodies: each ends with its head.
      for (let end = received.indexOf("\r\n\r\n"); end >= 0; end = received.indexOf("\r\n\r\n")) {
        serve(socket, index, received.slice(0, end));
        received = received.slice(end + 4);
      }
    });
  });
  server.listen({ port, host: "127.0.0.1" });
}
