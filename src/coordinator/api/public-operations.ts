/** What anybody may ask who reaches the port: nothing of it names a service or a node. */
import { jsonAnswer, type Operation } from "./operation.ts";
import type { ApiParts } from "./parts.ts";
import { rootAnswer } from "./wire.ts";

type Words = Pick<Operation, "path" | "summary" | "answer" | "run">;

function get(words: Words): Operation {
  return { method: "GET", who: "anyone", body: null, ...words };
}

function text(summary: string): Operation["answer"] {
  return { type: "text/plain", schema: null, summary };
}

export function publicOperations(parts: ApiParts): readonly Operation[] {
  return [
    get({
      path: "/v1/root",
      summary: "Who vouches for everybody in the mesh: to be compared with the fingerprint in a token",
      answer: jsonAnswer(rootAnswer, "Certificates of the roots"),
      run: () => Response.json({ roots: parts.credentials.roots(), trustDomain: parts.trustDomain }),
    }),
    get({
      path: "/v1/healthz",
      summary: "Whether the coordinator runs",
      answer: text("ok"),
      run: () => new Response("ok\n"),
    }),
    get({
      path: "/v1/readyz",
      summary: "Whether the coordinator serves, and what is wrong nevertheless",
      answer: text("ready, and a line for each warning"),
      run: () =>
        new Response(["ready", ...parts.warnings().map((line) => `warning: ${line}`), ""].join("\n")),
    }),
    get({
      path: "/metrics",
      summary: "What was measured, for Prometheus",
      answer: text("The Prometheus text format 0.0.4"),
      run: () =>
        new Response(parts.meters.text(parts.readings()), {
          headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
        }),
    }),
  ];
}
