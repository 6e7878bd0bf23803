import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serviceManager } from "../../src/host/service-manager/bun.ts";

/** What Bun cannot do itself: a unix datagram socket that prints what it receives. */
const receiver = `
import socket, sys
path = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\\0" + path[1:] if path.startswith("@") else path)
print("bound", flush=True)
print(s.recv(4096).decode(), flush=True)
`;

async function received(path: string, lines: readonly string[]): Promise<string> {
  const process = Bun.spawn(["python3", "-c", receiver, path], { stdout: "pipe" });
  const bound = "bound\n";
  let printed = "";
  let sent = false;
  for await (const piece of process.stdout) {
    printed += Buffer.from(piece).toString();
    if (sent || !printed.startsWith(bound)) continue;
    sent = true;
    serviceManager(path).notify(lines);
  }
  return printed.slice(bound.length);
}

test("serviceManager.notify sends one datagram to a socket file", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "clearway-notify-")), "notify.sock");
  expect(await received(path, ["READY=1", "STATUS=serves version 1"])).toBe(
    "READY=1\nSTATUS=serves version 1\n",
  );
});

test("serviceManager.notify knows the abstract namespace", async () => {
  const path = `@clearway-notify-${crypto.randomUUID()}`;
  expect(await received(path, ["WATCHDOG=1"])).toBe("WATCHDOG=1\n");
});

test("serviceManager does nothing where nobody listens", () => {
  for (const path of ["", "relative", `/${"x".repeat(200)}`, "/nowhere/notify.sock"]) {
    expect(() => serviceManager(path).notify(["READY=1"])).not.toThrow();
  }
});
