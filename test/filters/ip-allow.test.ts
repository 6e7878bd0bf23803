import { afterEach, describe, expect, test } from "bun:test";
import ipAllow from "../../src/filters/ip-allow.ts";
import { statusOf, values } from "../runtime/messages.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../runtime/setting.ts";
import { headerOf, realChain } from "./real-chain.ts";

afterEach(closeAll);

async function statusFor(options: object, remoteAddress: string): Promise<number> {
  const chain = realChain(ipAllow, options, { env: { remoteAddress } });
  const [first, second] = [await chain.send(), await chain.send()];
  expect(second.status).toBe(first.status);
  return first.status;
}

describe("ip-allow", () => {
  test("lets pass who is in allow and not in deny", async () => {
    const options = { allow: ["10.0.0.0/8", "2001:db8::/32"], deny: ["10.1.0.0/16", "2001:db8::bad"] };
    expect(await statusFor(options, "10.2.0.1")).toBe(200);
    expect(await statusFor(options, "::ffff:10.2.0.1")).toBe(200);
    expect(await statusFor(options, "10.1.0.1")).toBe(403);
    expect(await statusFor(options, "192.0.2.1")).toBe(403);
    expect(await statusFor(options, "2001:db8::1")).toBe(200);
    expect(await statusFor(options, "2001:db8:0::0bad")).toBe(403);
  });

  test("with deny alone lets all others pass, but nobody whose address is not known", async () => {
    expect(await statusFor({ deny: ["10.0.0.0/8"] }, "192.0.2.1")).toBe(200);
    expect(await statusFor({ deny: ["10.0.0.0/8"] }, "10.0.0.1")).toBe(403);
    for (const address of ["unknown", "", "999.1.1.1"])
      expect(await statusFor({ deny: ["10.0.0.0/8"] }, address)).toBe(403);
  });

  test("refuses with a reason, and counts", async () => {
    const chain = realChain(ipAllow, { allow: ["10.0.0.0/8"] }, { onError: "open" });
    const answer = await chain.send();
    expect([answer.status, headerOf(answer, "x-clearway-reason"), answer.forwarded]).toEqual([
      403,
      "forbidden",
      null,
    ]);
    expect(chain.counted("ip_allow_refused")).toBe(1);
  });

  test("judges the address that the trusted hops name, and no other", async () => {
    const upstream = await upstreamWith();
    const ask = async (trustedHops: number, forwarded: string) => {
      const proxy = await proxyTo({
        ports: [upstream.port],
        listener: `    trustedHops: ${trustedHops}\n    filters: [{ ip-allow: { allow: [192.0.2.0/24] } }]`,
      });
      const client = await caller(proxy);
      const answer = await client.exchange(
        `GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${forwarded}\r\n\r\n`,
      );
      return [statusOf(answer), ...values(answer, "x-clearway-reason")];
    };
    expect(await ask(1, "192.0.2.7")).toEqual([200]);
    expect(await ask(0, "192.0.2.7")).toEqual([403, "forbidden"]);
    expect(await ask(1, "192.0.2.7, 203.0.113.9")).toEqual([403, "forbidden"]);
  });
});
