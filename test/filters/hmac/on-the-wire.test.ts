import { afterEach, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { statusOf, values } from "../../runtime/messages.ts";
import { closeAll, setting } from "../../runtime/setting.ts";
import { VirtualClock } from "../../virtual-clock.ts";

afterEach(closeAll);

const key = "k".repeat(32);

function signedPut(body: string, digestOf = body): string {
  const digest = `sha-256=:${createHash("sha256").update(digestOf).digest("base64")}:`;
  const created = new VirtualClock().epochMs() / 1000;
  const parameters = `("@method" "@target-uri" "content-digest");created=${created};keyid="store"`;
  const base = `"@method": PUT\n"@target-uri": http://shop.example/a?b=%41\n"content-digest": ${digest}\n"@signature-params": ${parameters}`;
  const signature = createHmac("sha256", key).update(base).digest("base64");
  const fields = `Signature-Input: sig=${parameters}\r\nSignature: sig=:${signature}:\r\nContent-Digest: ${digest}\r\n`;
  const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  return `PUT /a?b=%41 HTTP/1.1\r\nHost: Shop.example\r\n${fields}Transfer-Encoding: chunked\r\n\r\n${chunks}`;
}

test("hmac sends on a chunked body that it held, and refuses one that is not the signed one", async () => {
  const route = `        filters: [{ hmac: { keys: { store: ${key} }, bodyMax: 100KiB } }]`;
  const { client, upstream } = await setting(
    { onRequest: () => "HTTP/1.1 204 No Content\r\n\r\n" },
    { route },
  );
  const body = "x".repeat(90_000);
  expect(statusOf(await client.exchange(signedPut(body), "PUT"))).toBe(204);
  expect(upstream.requests.map((request) => request.body.length)).toEqual([body.length]);
  const changed = await client.exchange(signedPut(body, "something else"), "PUT");
  expect([statusOf(changed), ...values(changed, "x-clearway-reason")]).toEqual([401, "unauthenticated"]);
  const large = await client.exchange(signedPut("x".repeat(110_000)), "PUT");
  expect([statusOf(large), ...values(large, "x-clearway-reason")]).toEqual([413, "body-too-large"]);
  expect(upstream.requests).toHaveLength(1);
});

test("hmac behind body-limit holds no more of a chunked body than that lets pass", async () => {
  const route = `        filters: [{ body-limit: { max: 1KiB } }, { hmac: { keys: { store: ${key} } } }]`;
  const { client, upstream } = await setting(
    { onRequest: () => "HTTP/1.1 204 No Content\r\n\r\n" },
    { route },
  );
  expect(statusOf(await client.exchange(signedPut("x".repeat(1024)), "PUT"))).toBe(204);
  const large = await client.exchange(signedPut("x".repeat(2000)), "PUT");
  expect([statusOf(large), ...values(large, "x-clearway-reason")]).toEqual([413, "body-too-large"]);
  expect(upstream.requests.map(({ body }) => body.length)).toEqual([1024]);
});
