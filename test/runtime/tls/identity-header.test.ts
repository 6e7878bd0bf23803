/** What an app gets to know of its caller, and callers and code that pretend to be somebody. */
import { afterEach, describe, expect, test } from "bun:test";
import { defineFilter, z } from "../../../src/plugin.ts";
import type { FilterDefinition } from "../../../src/types.ts";
import { values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import { okAnswer, type RecordingUpstream, type UpstreamScript } from "../recording-upstream.ts";
import { caller, closeAll, proxyTo, untilEnd, upstreamWith } from "../setting.ts";
import { identityOf, memberOf, meshNode } from "./meshed.ts";
import { shown } from "./secured.ts";
import { TlsCaller } from "./tls-caller.ts";

afterEach(closeAll);

const ok: UpstreamScript = { onRequest: () => okAnswer };
const storefront = await memberOf("storefront");
const admin = identityOf("admin");

/** Heads of callers that would like to be somebody else. */
const lies: readonly (readonly [what: string, lines: string])[] = [
  ["says so", `x-clearway-identity: ${admin}\r\n`],
  ["says so twice", `X-Clearway-Identity: ${admin}\r\nx-clearway-identity: ${admin}\r\n`],
  ["names the header in Connection", "Connection: x-clearway-identity\r\n"],
  [
    "says so and names it in Connection",
    `Connection: X-Clearway-Identity\r\nx-clearway-identity: ${admin}\r\n`,
  ],
  ["spells it as CGI does", `X_Clearway_Identity: ${admin}\r\nx-clearway_identity: ${admin}\r\n`],
  ["says it to be empty", "x-clearway-identity:\r\n"],
];

const asking = (lines: string) => `GET / HTTP/1.1\r\nHost: shop.example\r\n${lines}\r\n`;

/** Every value under the name, however it is spelled. */
function told(upstream: RecordingUpstream): string[] {
  const { head } = upstream.requests.at(-1)!;
  const lines = head.split("\r\n").filter((line) => /^x[-_]clearway[-_]identity:/i.test(line));
  return lines.map((line) => line.slice(line.indexOf(":") + 1).trim());
}

const pretend = defineFilter({
  name: "pretend",
  summary: "Makes the request anew, with an identity",
  options: z.strictObject({}),
  middleware: () => (c, next) => {
    const headers = new Headers(c.req.raw.headers);
    headers.set("x-clearway-identity", admin);
    c.req.raw = new Request(c.req.raw, { headers });
    return next();
  },
}) as FilterDefinition;
const filters = new Map([[pretend.name, pretend]]);

describe("x-clearway-identity", () => {
  for (const [what, lines] of lies) {
    test(`is who was proved, also when a caller ${what}`, async () => {
      const upstream = await upstreamWith(ok);
      const { proxy } = await meshNode([upstream.port]);
      const client = await TlsCaller.open(proxy.port(), shown(storefront));
      for (let count = 0; count < 2; count++) {
        await client.exchange(asking(lines));
        expect(told(upstream)).toEqual([identityOf("storefront")]);
      }
      await client.exchange(asking(""));
      expect(told(upstream)).toEqual([identityOf("storefront")]);
    });

    test(`is not there for nobody, also when a caller ${what}`, async () => {
      const upstream = await upstreamWith(ok);
      const { proxy } = await meshNode([upstream.port], { callers: "mesh-or-plain" });
      const client = await RawClient.open(proxy.port());
      untilEnd({ stop: () => client.close() });
      await client.exchange(asking(lines));
      expect(told(upstream)).toEqual([]);
    });

    test(`is removed outside of a mesh, also when a caller ${what}`, async () => {
      const upstream = await upstreamWith(ok);
      const client = await caller(await proxyTo({ ports: [upstream.port] }));
      await client.exchange(asking(lines));
      expect(told(upstream)).toEqual([]);
    });
  }

  test("is who was proved, whatever a filter makes of the request", async () => {
    const upstream = await upstreamWith(ok);
    const listener = "    filters: [pretend]";
    const { proxy } = await meshNode([upstream.port], { listener, filters });
    const client = await TlsCaller.open(proxy.port(), shown(storefront));
    for (const [, lines] of lies) {
      await client.exchange(asking(lines));
      expect(told(upstream)).toEqual([identityOf("storefront")]);
    }
    const open = await caller(await proxyTo({ ports: [upstream.port], listener }, { filters }));
    await open.exchange(asking(lies[0]![1]));
    expect(told(upstream)).toEqual([]);
  });

  test("goes to the app alone: its answer says nothing under that name", async () => {
    const answer = `HTTP/1.1 200 OK\r\nx-clearway-identity: ${admin}\r\nContent-Length: 0\r\n\r\n`;
    const upstream = await upstreamWith({ onRequest: () => answer });
    const { proxy } = await meshNode([upstream.port]);
    const client = await TlsCaller.open(proxy.port(), shown(storefront));
    expect(values(await client.exchange(asking("")), "x-clearway-identity")).toEqual([]);
  });
});
