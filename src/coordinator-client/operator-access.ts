/** With which token an operator talks to which coordinator. */
import type { Files } from "../machine.ts";
import type { ConnectionParts } from "./coordinator-connection.ts";
import { readCoordinatorUrls } from "./coordinator-urls.ts";
import { OperatorClient } from "./operator-client.ts";

/** Where the coordinator writes its operator's token, from the folder in which it was started. */
export const operatorTokenFile = ".clearway/operator.token";

export interface AccessParts extends ConnectionParts {
  readonly files: Pick<Files, "read">;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** `coordinator`: one or more, as on a command line. Rejects with an Error that says what to do. */
export async function operatorAccess(parts: AccessParts, coordinator: string): Promise<OperatorClient> {
  const urls = readCoordinatorUrls(coordinator);
  return new OperatorClient(parts, { urls, token: await operatorToken(parts) });
}

async function operatorToken({ files, environment }: AccessParts): Promise<string> {
  const said = environment.CLEARWAY_TOKEN?.trim() ?? "";
  if (said !== "") return said;
  try {
    return (await files.read(operatorTokenFile)).trim();
  } catch (error) {
    const { code, message } = error as Error & { readonly code?: string };
    if (code !== "ENOENT") throw new Error(`cannot read ${operatorTokenFile}: ${message}`);
    throw new Error(
      `there is no operator's token: set CLEARWAY_TOKEN, or run this where the coordinator wrote ${operatorTokenFile}`,
    );
  }
}
