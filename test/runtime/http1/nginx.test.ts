/**
 * The same bytes to nginx and to Clearway, before the same service: what nginx refuses Clearway refuses too, and what
 * both pass on is the same request. Where the two differ on purpose, the table below says why.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Message, values } from "../messages.ts";
import { needsNginx, nginxProgram, type RunningNginx, startNginx } from "../nginx.ts";
import { RawClient } from "../raw-client.ts";
import { okAnswer, RecordingUpstream } from "../recording-upstream.ts";
import { gateway, RunningProxy } from "../running-proxy.ts";
import { forwardedRequests } from "./tables/forwarded-requests.ts";
import { refusedBodies } from "./tables/refused-bodies.ts";
import { refusedHeads, refusedPaths } from "./tables/refused-heads.ts";

/** The rest of a head that was left off at its first wrong byte. */
function completed(bytes: string): string {
  if (bytes.endsWith("\r\n\r\n")) return bytes;
  return `${bytes}\r\n${bytes.includes("Host:") ? "" : "Host: shop.example\r\n"}Connection: close\r\n\r\n`;
}

/** Passed on by Clearway, refused by nginx 1.22, and why. */
const acceptedHereAlone = new Map([
  ["method in lower case", "any token is a method (RFC 9110 section 9.1)"],
  ["method of odd characters", "any token is a method"],
  ["TRACE", "whether to answer it is the service's decision"],
  ["OPTIONS *", "it asks about the service, which is behind this one route"],
]);

/** nginx passes these on in a form that the reading of the tests refuses too. */
const unreadable = [
  "byte above 0x7f in the target",
  "two spaces before the version",
  "fragment in the target",
];

/** Requests that a proxy answers before one without an answer is taken for one that waits for more bytes. */
const othersMax = 50;
const otherPath = "/other";

let upstream: RecordingUpstream;
/** What reached it, in order. */
const seen: Message[] = [];
let proxy: RunningProxy;
let nginx: RunningNginx;

function nginxBefore(upstreamPort: number): Promise<RunningNginx> {
  return startNginx(
    ({ port }) => `
  underscores_in_headers on; ignore_invalid_headers on; merge_slashes off;
  upstream shop { server 127.0.0.1:${upstreamPort}; keepalive 8; }
  server {
    listen 127.0.0.1:${port}; server_name _;
    location / { proxy_pass http://shop; proxy_http_version 1.1; proxy_request_buffering off;
      proxy_set_header Connection ""; proxy_set_header Host $http_host; }
  }`,
  );
}

/** What of these bytes reaches the service through a proxy: the whole requests, as method, target and body. */
async function reaching(port: number, bytes: string): Promise<string[]> {
  const sender = port === nginx.port ? "nginx" : "clearway";
  const before = sentBy(sender).length;
  const client = await RawClient.open(port);
  client.send(bytes);
  const answered = () =>
    client.peer !== "open" || /(^|\n)HTTP\/1\.1 [2-5][\s\S]*\r\n\r\n/.test(client.received);
  // nginx waits for the end of some lines that Clearway refuses sooner: then others are answered, and it is not.
  for (let others = 0; !answered() && others < othersMax; others++) await ask(port);
  client.close();
  return sentBy(sender)
    .slice(before)
    .map(({ start, body }) => `${start.split(" ").slice(0, 2).join(" ")} ${body}`);
}

/** One more request, on a connection of its own; behind all that this proxy got before. */
async function ask(port: number): Promise<void> {
  const client = await RawClient.open(port);
  await client.exchange(`GET ${otherPath} HTTP/1.1\r\nHost: shop.example\r\n\r\n`);
  client.close();
}

function sentBy(sender: "nginx" | "clearway"): Message[] {
  const isOurs = (request: Message) =>
    values(request, "via").some((via) => /^1\.[01] clearway-test$/.test(via));
  return seen.filter((request) => isOurs(request) === (sender === "clearway"));
}

describe.skipIf(nginxProgram === null)(`${needsNginx}nginx before the same service`, () => {
  beforeAll(async () => {
    upstream = await RecordingUpstream.start({
      onRequest: (request) => {
        if (!request.start.startsWith(`GET ${otherPath} `)) seen.push(request);
        return okAnswer;
      },
    });
    proxy = await RunningProxy.start(gateway({ ports: [upstream.port] }));
    nginx = await nginxBefore(upstream.port);
  });

  afterAll(async () => {
    await nginx.stop();
    await proxy.stop();
    upstream.stop();
  });

  const chunked = "POST /c HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n";
  const rows = [
    ...forwardedRequests.map(({ name, bytes }) => ({ name, bytes })),
    ...refusedHeads.map(({ name, bytes }) => ({ name, bytes: completed(bytes) })),
    ...refusedBodies.map(({ name, body }) => ({ name, bytes: `${chunked}${body}\r\n\r\n0\r\n\r\n` })),
    ...refusedPaths.map((path) => ({
      name: path,
      bytes: `GET ${path} HTTP/1.1\r\nHost: shop.example\r\n\r\n`,
    })),
  ];

  for (const { name, bytes } of rows.filter((row) => !unreadable.includes(row.name))) {
    test(`passes on no less than Clearway: ${name}`, async () => {
      const there = await reaching(nginx.port, bytes);
      const here = await reaching(proxy.port(), bytes);
      if (acceptedHereAlone.has(name)) expect([there.length, here.length]).toEqual([0, 1]);
      else expect(here.length).toBeLessThanOrEqual(there.length);
      if (here.length === there.length) expect(bodiesOf(here)).toEqual(bodiesOf(there));
    });
  }
});

/** nginx writes some paths in another spelling. */
function bodiesOf(requests: readonly string[]): string[] {
  return requests.map((request) => request.split(" ").slice(2).join(" "));
}
