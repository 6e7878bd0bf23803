/** With which token an operator talks to which coordinator. */
import type { Files } from "../machine.ts";
import type { ConnectionParts } from "./coordinator-connection.ts";
import { CoordinatorFault } from "./coordinator-fault.ts";
import { readCoordinatorUrls } from "./coordinator-urls.ts";
import { OperatorClient } from "./operator-client.ts";

/** Where the coordinator writes its operator's token, from the folder in which it was started. */
export const operatorTokenFile = ".clearway/operator.token";
const tokenVariable = "CLEARWAY_TOKEN";

export interface AccessParts extends ConnectionParts {
  readonly files: Pick<Files, "read">;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

interface FoundToken {
  readonly token: string;
  /** The file or variable in which it was. */
  readonly source: string;
}

/**
 * `coordinator`: one or more, as on a command line. Rejects with an Error that says what to do, as each call does with a
 * CoordinatorFault.
 */
export async function operatorAccess(
  parts: AccessParts,
  coordinator: string,
): Promise<Pick<OperatorClient, "get" | "post" | "put">> {
  const urls = readCoordinatorUrls(coordinator);
  const found = await operatorToken(parts);
  const client = new OperatorClient(parts, { urls, token: found.token });
  const advised = <Answer>(asked: Promise<Answer>) =>
    asked.catch((error: unknown) => {
      throw advisedFault(error, found);
    });
  return {
    get: (path) => advised(client.get(path)),
    post: (path, body) => advised(client.post(path, body)),
    put: (path, body) => advised(client.put(path, body)),
  };
}

function advisedFault(error: unknown, { source }: FoundToken): unknown {
  if (!(error instanceof CoordinatorFault)) return error;
  const { reason, message, again } = error;
  const advise = (what: string) => new CoordinatorFault(reason, `${message}; ${what}`, again);
  if (reason === "unreachable") return advise("is it running there? --coordinator URL names another place");
  if (!reason.startsWith("token-")) return error;
  const held =
    source === tokenVariable ? `; the coordinator keeps the one that holds in ${operatorTokenFile}` : "";
  return advise(`it was read from ${source}${held}`);
}

async function operatorToken({ files, environment }: AccessParts): Promise<FoundToken> {
  const said = environment[tokenVariable]?.trim() ?? "";
  if (said !== "") return { token: said, source: tokenVariable };
  try {
    return { token: (await files.read(operatorTokenFile)).trim(), source: operatorTokenFile };
  } catch (error) {
    const { code, message } = error as Error & { readonly code?: string };
    if (code !== "ENOENT") throw new Error(`cannot read ${operatorTokenFile}: ${message}`);
    throw new Error(
      `there is no operator's token: set ${tokenVariable}, or run this where the coordinator wrote ${operatorTokenFile}`,
    );
  }
}
