import { expect, test } from "bun:test";
import { requestCertificate } from "../src/certificate-request.ts";

async function openssl(args: readonly string[], input: string): Promise<string> {
  const child = Bun.spawn(["openssl", ...args], { stdin: new Blob([input]), stdout: "pipe", stderr: "pipe" });
  const text = await new Response(child.stdout).text();
  return text + (await new Response(child.stderr).text());
}

test("certificate request is signed with its own P-256 key and names nobody, as openssl sees it", async () => {
  const { key, request } = await requestCertificate();
  const seen = await openssl(["req", "-verify", "-noout", "-text"], request);
  expect(seen).toContain("self-signature verify OK");
  expect(seen).toContain("NIST CURVE: P-256");
  expect(seen).toMatch(/Subject: *\n/);
  const ofKey = await openssl(["pkey", "-pubout"], key);
  expect(await openssl(["req", "-noout", "-pubkey"], request)).toBe(ofKey);
  expect((await requestCertificate()).key).not.toBe(key);
});
