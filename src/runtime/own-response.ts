/** An answer in Clearway's own name, on its way through filters. */
import type { Answer } from "./failures.ts";

export function ownResponse({ status, reason, sentence }: Answer): Response {
  return new Response(`${reason}: ${sentence}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "x-clearway-reason": reason },
  });
}
