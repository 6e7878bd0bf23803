/** Callers that go on until they are stopped, and what became of their calls. */

export interface Calls {
  /** By answer, `200 payments-1`, or what went wrong. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly count: number;
  /** Outcomes that are no 200. */
  failures(): readonly string[];
  stop(): Promise<void>;
}

/** `callers` at a time, each one call after another, over connections that they keep. */
export function startCalls(url: string, callers = 4, init: RequestInit = {}): Calls {
  const outcomes = new Map<string, number>();
  let stopped = false;
  let count = 0;
  const note = (outcome: string) => {
    count++;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  };
  const call = async () => {
    while (!stopped) {
      try {
        const response = await fetch(url, init);
        const [name = ""] = (await response.text()).split(" ");
        note(`${response.status} ${name}`);
      } catch (error) {
        note(`failed: ${(error as Error).message}`);
      }
    }
  };
  const running = Array.from({ length: callers }, call);
  return {
    outcomes,
    get count() {
      return count;
    },
    failures: () =>
      [...outcomes].filter(([name]) => !name.startsWith("200 ")).map(([name, times]) => `${name} (${times})`),
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}
