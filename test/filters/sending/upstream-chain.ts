/** One upstream filter as a route has it, around sendings that a test answers, in virtual time. */
import { wrapSend } from "../../../src/runtime/chain.ts";
import { MessageFailure } from "../../../src/runtime/failures.ts";
import { createFilters, type FilterParts } from "../../../src/runtime/live-filter.ts";
import type { Call, FilterDefinition, SendChange, Variables } from "../../../src/types.ts";
import { ManualBody, requestFrom } from "../../runtime/fetch/messages.ts";
import { type TestParts, testParts } from "../../runtime/filter-parts.ts";

export interface Sent {
  /** From 1 on. */
  readonly number: number;
  readonly atMs: number;
  readonly change: SendChange;
  /** What the service gets. */
  readonly request: Request;
}

/** What a service does with a sending; a throw is a failure. */
export type Script = (sent: Sent) => Response | Promise<Response>;

export interface CallDraft {
  readonly method?: string;
  readonly url?: string;
  readonly route?: string;
  readonly service?: string;
  /** What filters before it left. */
  readonly vars?: Variables;
  readonly fields?: readonly string[];
  /** From the begin of the call; 10 s when not given. */
  readonly timeoutMs?: number;
  readonly replayable?: boolean;
  readonly signal?: AbortSignal;
}

export interface Ended {
  /** Null when it was rejected. */
  readonly response: Response | null;
  readonly error: unknown;
  readonly sent: readonly Sent[];
  readonly elapsedMs: number;
}

export interface UpstreamChain {
  readonly parts: TestParts;
  /** One call, from its begin to its end; time passes meanwhile. */
  run(script: Script, draft?: CallDraft): Promise<Ended>;
  /** The same while the test makes the time pass. */
  begin(script: Script, draft?: CallDraft): Promise<Response>;
  /** How often the filter counted this: `retries`, or with label values `retries 503`. */
  counted(name: string): number;
}

export function upstreamChain(
  definition: FilterDefinition,
  options: unknown,
  given: Partial<FilterParts> = {},
): UpstreamChain {
  const { name } = definition;
  const parts = testParts({ ...given, filters: new Map([[name, definition]]) });
  const place = { file: "clearway.yaml", line: 1 };
  const wrap = wrapSend(
    createFilters([{ name, id: null, onError: "fail", options, place }], parts, "web/orders"),
  )!;
  const begin = (script: Script, { draft, sent }: { draft: CallDraft; sent: Sent[] }) => {
    const beganMs = parts.clock.now();
    const call = callOf(draft, beganMs);
    return wrap(call, async (change = {}) => {
      const atMs = parts.clock.now() - beganMs;
      const one = { number: sent.length + 1, atMs, change, request: change.request ?? call.request };
      sent.push(one);
      return script(one);
    });
  };
  return {
    parts,
    begin: (script, draft = {}) => begin(script, { draft, sent: [] }),
    run: async (script, draft = {}) => {
      const beganMs = parts.clock.now();
      const sent: Sent[] = [];
      const ended = await inTime(parts, begin(script, { draft, sent }));
      return { ...ended, sent, elapsedMs: parts.clock.now() - beganMs };
    },
    counted(wanted) {
      const [metric, ...labels] = wanted.split(" ");
      return parts.counted.filter(
        (one) =>
          one.name === `clearway_filter_${metric}_total` &&
          labels.every((label) => Object.values(one.labels).includes(label)),
      ).length;
    },
  };
}

function callOf(draft: CallDraft, beganMs: number): Call {
  const { method = "GET", url, route = "orders", service = "orders", vars = {} } = draft;
  // What has no body can always be sent again.
  const body = draft.replayable === false ? new ManualBody(["body"]) : null;
  const request = requestFrom(draft.fields ?? [], { method, body, ...(url === undefined ? {} : { url }) });
  return {
    request,
    attempt: 1,
    deadline: beganMs + (draft.timeoutMs ?? 10_000),
    signal: draft.signal ?? new AbortController().signal,
    route,
    service,
    vars,
    replayable: async () => draft.replayable ?? true,
    copy: () => new Request(request.url, { method: request.method, headers: request.headers }),
  };
}

const patienceMs = 100_000;

/** A millisecond at a time, once nothing goes on without it. */
async function inTime({ clock }: TestParts, answer: Promise<Response>) {
  let ended: Pick<Ended, "response" | "error"> | null = null;
  answer.then(
    (response) => {
      ended = { response, error: null };
    },
    (error: unknown) => {
      ended = { response: null, error };
    },
  );
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs++) {
    for (let turn = 0; turn < 30 && ended === null; turn++) await null;
    if (ended !== null) return ended as Pick<Ended, "response" | "error">;
    clock.advance(1);
  }
  throw new Error(`the call did not end in ${patienceMs} ms of virtual time`);
}

export const failures = {
  unreachable: () =>
    new MessageFailure("no-healthy-endpoint", "ECONNREFUSED", { side: "upstream", retryable: "yes" }),
  overloaded: () =>
    new MessageFailure("service-overloaded", "at its limit", { side: "upstream", retryable: "yes" }),
  reset: () => new MessageFailure("upstream-reset", "closed", { side: "upstream" }),
  malformed: () => new MessageFailure("upstream-malformed", "not HTTP", { side: "upstream" }),
  timeout: () => new MessageFailure("upstream-timeout", "late", { side: "upstream" }),
  callerLeft: () => new MessageFailure("caller-left", "gone", { side: "downstream" }),
};
