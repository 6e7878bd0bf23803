/** An answer in Clearway's own name, on its way through filters. */
import { type Answer, REFUSED_BY_FILTER } from "./failures.ts";

const REASON = "x-clearway-reason";

export function ownResponse({ status, reason, sentence }: Answer): Response {
  return new Response(`${reason}: ${sentence}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", [REASON]: reason },
  });
}

/** What a filter refused with, and the reason that it gave or else the general one. */
export function refusalResponse(refusal: Response): Response {
  const response = new Response(refusal.body, refusal);
  if (!response.headers.has(REASON)) response.headers.set(REASON, REFUSED_BY_FILTER);
  return response;
}
