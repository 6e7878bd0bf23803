/** An app behind our own listener, asked by programs that are not ours. */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asking, entry, serving, tell } from "./serving-app.ts";
import { closeAll } from "./setting.ts";
import { authority, clientAuthority, shop } from "./tls/secured.ts";

afterEach(closeAll);

const good = await clientAuthority.issue({ uris: ["spiffe://store.example/payments"] });
const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const curl = Bun.which("curl");
const openssl = Bun.which("openssl");
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-app-"));
  const texts = { "servers.pem": authority.certificate, "good.pem": good.certificate, "good.key": good.key };
  for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text);
  return () => rm(folder, { recursive: true });
});

async function run(command: readonly string[], input = ""): Promise<string> {
  const child = Bun.spawn([...command], { cwd: folder, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.write(input);
  child.stdin.end();
  const texts = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return texts.join("");
}

describe("an app's listener with callers that are not ours", () => {
  const needsCurl = curl === null ? "skipped: needs curl (apt-get install curl): " : "";
  const needsOpenssl = openssl === null ? "skipped: needs openssl (apt-get install openssl): " : "";

  test.skipIf(curl === null)(`${needsCurl}serves curl, with its certificate and without`, async () => {
    const { port } = await serving(tell, { tls: entry(shop, asking) });
    const url = `https://127.0.0.1:${port}/`;
    const options = ["-sS", "--cacert", "servers.pem"];
    expect(await run([curl!, ...options, url])).toBe(JSON.stringify([url, null, "coordinator"]));
    const proved = await run([curl!, ...options, "--cert", "good.pem", "--key", "good.key", url]);
    expect(proved).toBe(JSON.stringify([url, "spiffe://store.example/payments", "coordinator"]));
  });

  test.skipIf(openssl === null)(`${needsOpenssl}serves openssl s_client, which verifies it`, async () => {
    const { port } = await serving(tell, { tls: entry(shop, asking) });
    const to = ["-connect", `127.0.0.1:${port}`, "-verify_ip", "127.0.0.1", "-verify_return_error"];
    const closing = get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    const output = await run([openssl!, "s_client", ...to, "-CAfile", "servers.pem", "-ign_eof"], closing);
    expect(output).toContain("Verify return code: 0 (ok)");
    expect(output).toContain("200 OK");
  });

  test("serves the host's own fetch, a stream line by line", async () => {
    const lines = ["one\n", "two\n"];
    const { port } = await serving(
      (_request, env) =>
        new Response(
          new ReadableStream({
            pull(controller) {
              const line = lines.shift();
              if (line === undefined) return;
              controller.enqueue(new TextEncoder().encode(`${env.identity} ${line}`));
            },
          }),
        ),
      { tls: entry(shop, asking) },
    );
    const leaving = new AbortController();
    const answer = await fetch(`https://127.0.0.1:${port}/`, {
      tls: { ca: authority.certificate, cert: good.certificate, key: good.key },
      signal: leaving.signal,
    } as RequestInit);
    let read = "";
    for await (const chunk of answer.body!) {
      read += Buffer.from(chunk as Uint8Array).toString();
      if (read.includes("two\n")) break;
    }
    expect(read).toBe("spiffe://store.example/payments one\nspiffe://store.example/payments two\n");
    leaving.abort();
  });
});
