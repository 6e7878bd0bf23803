/** What the gateway says of itself on its admin address. */
export interface GatewayView {
  /** Of the config that serves. */
  readonly version: number;
  /** What is wrong with the config file; null when it is what serves. */
  readonly problem: string | null;
}

type Fetch = (url: string) => Promise<Response>;

export async function isReady(adminUrl: string, fetch: Fetch): Promise<boolean> {
  return await fetch(`${adminUrl}/readyz`).then(
    (response) => response.ok,
    () => false,
  );
}

/** Null when it cannot be asked. */
export async function viewGateway(adminUrl: string, fetch: Fetch): Promise<GatewayView | null> {
  try {
    const [snapshot, report] = await Promise.all([
      json<{ version: number }>(await fetch(`${adminUrl}/snapshot`)),
      json<{ problems: ProblemView[] }>(await fetch(`${adminUrl}/problems`)),
    ]);
    return { version: snapshot.version, problem: problemText(report.problems) };
  } catch {
    return null;
  }
}

interface ProblemView {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

function problemText(problems: readonly ProblemView[]): string | null {
  const [first] = problems;
  if (first === undefined) return null;
  const file = first.file.slice(first.file.lastIndexOf("/") + 1);
  return `${file}:${first.line}:${first.column} ${first.message}`;
}

async function json<Body>(response: Response): Promise<Body> {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
  return (await response.json()) as Body;
}
