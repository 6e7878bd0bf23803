/** What nodes ask for: who they are, that they live, and what they are to know. */
import type { Clock } from "../../machine.ts";
import type { LeaseAnswer } from "../../mesh.ts";
import type { Subscription } from "../feed/subscription.ts";
import { Refusal } from "../refusal.ts";
import { leaseMs, renewEveryMs } from "../registry/registry.ts";
import { jsonAnswer, type Operation, operation } from "./operation.ts";
import type { ApiParts } from "./parts.ts";
import { RateBuckets } from "./rate.ts";
import * as wire from "./wire.ts";

/** Of one node: a renewal every 3 s, and one more whenever something changes there. */
const nodeRate = { perSecond: 10, burst: 50 };

export function nodeOperations(parts: ApiParts): readonly Operation[] {
  return [...certificates(parts), ...presence(parts)];
}

function certificates({ credentials, meters, log }: ApiParts): readonly Operation[] {
  return [
    operation({
      method: "POST",
      path: "/v1/join",
      summary: "Gives a node its first certificate, for a join token",
      who: "anyone",
      body: wire.joinRequest,
      answer: jsonAnswer(wire.credentials, "The certificate, and who vouches for everybody else"),
      async run({ body }) {
        const answer = await credentials.join(body);
        meters.joined();
        log.info("a node joined", { identity: answer.identity });
        return Response.json(answer);
      },
    }),
    operation({
      method: "POST",
      path: "/v1/certificate",
      summary: "Gives a node its next certificate, for the one that it shows",
      who: "node",
      body: wire.renewalRequest,
      answer: jsonAnswer(wire.credentials, "The certificate, and who vouches for everybody else"),
      async run({ body, service }) {
        const answer = await credentials.renew(service, body);
        meters.renewed();
        return Response.json(answer);
      },
    }),
  ];
}

function presence({ clock, registry, feed }: ApiParts): readonly Operation[] {
  const demandToken = nodeTokens(clock);
  return [
    operation({
      method: "POST",
      path: "/v1/leases",
      summary: "Registers, renews and removes the instances of a node",
      who: "node",
      body: wire.leaseRequest,
      answer: jsonAnswer(
        wire.leaseAnswer,
        "How long that holds. Of a draining instance: when its callers were told, or after a second",
      ),
      async run({ body, service }) {
        demandToken(service, body.node);
        registry.renew(service, body);
        // Its node serves whoever comes until it hears this.
        if (body.instances.some(({ state }) => state === "draining")) await feed.told(service);
        return Response.json({ leaseMs, renewEveryMs } satisfies LeaseAnswer);
      },
    }),
    operation({
      method: "POST",
      path: "/v1/feed",
      summary: "Tells a node what becomes of the services that it uses, until one of the two goes away",
      who: "node",
      body: wire.feedRequest,
      answer: {
        type: "application/jsonl",
        schema: null,
        summary: "One JSON object a line; what belongs together ends with one of the kind live",
      },
      run({ body, service, abort }) {
        demandToken(service, body.node);
        const subscription = feed.subscribe({ service, node: body.node }, body, abort);
        return new Response(feedStream(subscription), { headers: { "content-type": "application/jsonl" } });
      },
    }),
  ];
}

function nodeTokens(clock: Clock): (service: string, node: string) => void {
  const buckets = new RateBuckets(clock, nodeRate);
  return (service, node) => {
    const waitMs = buckets.waitMs(`${service}/${node}`);
    if (waitMs > 0) throw tooOften(`the node "${node}" of "${service}"`, waitMs);
  };
}

export function tooOften(who: string, waitMs: number): Refusal {
  return new Refusal("too-often", `${who} asks too often: wait ${Math.ceil(waitMs)} ms`);
}

/** Is read only as fast as the node takes it: what it does not take waits in the subscription, where it cannot grow. */
function feedStream(subscription: Subscription): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      async pull(controller) {
        const bytes = await subscription.next();
        if (bytes === null) controller.close();
        else controller.enqueue(bytes);
      },
      cancel() {
        subscription.end();
      },
    },
    { highWaterMark: 0 },
  );
}
