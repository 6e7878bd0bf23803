/** A caller that speaks TLS: what it saw of the other side, how it was refused, and answers as any caller reads them. */
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { statusOf, values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import { untilEnd } from "../setting.ts";

export const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

export class TlsCaller extends RawClient {
  /** For later connections to resume: TLS 1.3 brings them after the handshake. */
  readonly sessions: Buffer[] = [];
  readonly tls: TLSSocket;

  constructor(socket: TLSSocket) {
    super(socket);
    this.tls = socket;
    socket.on("session", (session: Buffer) => {
      this.sessions.push(session);
      this.changed();
    });
  }

  /** Resolves after the handshake; rejects with the error that ended it. */
  static override open(port: number, options: ConnectionOptions = {}): Promise<TlsCaller> {
    const socket = connect({
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      ...options,
    });
    const caller = new TlsCaller(socket);
    untilEnd({ stop: () => caller.close() });
    return new Promise((resolve, reject) => {
      socket.once("secureConnect", () => resolve(caller));
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection ended in the handshake")));
    });
  }

  /** The names in the certificate that it was shown. */
  get shown(): string {
    return this.tls.getPeerX509Certificate()?.subjectAltName ?? "";
  }
}

/** Said to callers that are not let in, before anything is read of what they ask. */
const notLetIn = ["certificate-required", "certificate-not-believed"];

/** The status of one request on a connection of its own; null when the caller was not let in. */
export async function asked(
  port: number,
  options: ConnectionOptions = {},
  request = get,
): Promise<number | null> {
  let caller: TlsCaller;
  try {
    caller = await TlsCaller.open(port, options);
  } catch {
    return null;
  }
  caller.send(request);
  const ending = caller.ended().then(() => null);
  // In TLS 1.3 a client is through with the handshake before its certificate is judged.
  const answer = await Promise.race([caller.answer().catch(() => null), ending]);
  if (answer !== null && notLetIn.includes(values(answer, "x-clearway-reason").join())) {
    // Nothing comes after it.
    await ending;
    return statusOf(answer) === 403 ? null : statusOf(answer);
  }
  caller.close();
  if (answer === null && caller.received !== "") throw new Error(`half an answer: ${caller.received}`);
  return answer === null ? null : statusOf(answer);
}

/** Why there was no handshake: the error's code. */
export async function refusal(port: number, options: ConnectionOptions = {}): Promise<string> {
  try {
    const caller = await TlsCaller.open(port, options);
    throw new Error(`a handshake with ${caller.tls.getProtocol()}`);
  } catch (error) {
    return (error as Error & { code?: string }).code ?? (error as Error).message;
  }
}
