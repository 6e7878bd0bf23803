/** The body of a caller's request as filters get it: streamed once, or held so that it can be sent again. */
import type { BodySink, BodySource, Failure, FieldTable } from "../types.ts";
import { MessageFailure } from "./failures.ts";
import type { DownstreamConnection } from "./http1/downstream.ts";

export class CallerBody implements BodySource, BodySink {
  readonly lengthBytes: number | null;
  readonly #connection: DownstreamConnection;
  /** Who reads it here in the proxy. */
  #sink: BodySink | null = null;
  #held: Buffer | null = null;
  #taken = false;
  #over = false;

  constructor(connection: DownstreamConnection) {
    this.#connection = connection;
    this.lengthBytes = connection.lengthBytes;
  }

  /** The whole body, once `replayable` said yes. */
  get held(): Buffer | null {
    return this.#held;
  }

  get taken(): boolean {
    return this.#taken;
  }

  /** A filter reads it here in the proxy: nobody else will ask the caller to send it. */
  pipe(sink: BodySink): void {
    if (this.#held !== null) {
      sink.data(this.#held, 0, this.#held.length);
      sink.end(null);
      return;
    }
    if (this.#over) {
      sink.fail(requestOver());
      return;
    }
    this.take();
    this.#sink = sink;
    this.#connection.answer.sendContinue();
    this.#connection.pipe(this);
  }

  data(bytes: Buffer, start: number, end: number): void {
    this.#sink?.data(bytes, start, end);
  }

  end(trailers: FieldTable | null): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.end(trailers);
  }

  fail(failure: Failure): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.fail(failure);
  }

  /** The request was answered: what comes on the connection from now on belongs to the next one. */
  close(): void {
    this.#over = true;
    if (this.#sink !== null) this.fail(requestOver());
  }

  /** Marks that the bytes go elsewhere, from socket to socket. */
  take(): void {
    if (this.#taken) {
      throw new MessageFailure("body-consumed", "the request's body was sent or read before", {
        side: "downstream",
      });
    }
    this.#taken = true;
  }

  pause(): void {
    if (!this.#over) this.#connection.pause();
  }

  resume(): void {
    if (!this.#over) this.#connection.resume();
  }

  cancel(): void {
    if (this.#held === null && !this.#over) this.#connection.cancel();
  }

  /** Reads the whole body into memory if it is at most `bytesMax` long. */
  async replayable(bytesMax: number): Promise<boolean> {
    if (this.#held !== null) return this.#held.length <= bytesMax;
    if (this.#taken || this.lengthBytes === null || this.lengthBytes > bytesMax) return false;
    this.#held = await new Promise<Buffer>((resolve, reject) => {
      const pieces: Buffer[] = [];
      this.pipe({
        data: (bytes, start, end) => void pieces.push(bytes.subarray(start, end)),
        end: () => resolve(Buffer.concat(pieces)),
        fail: (failure: Failure) => reject(failure),
      });
    });
    return true;
  }
}

/** For whoever goes on with a request that was answered already, or whose caller left. */
export function requestOver(): MessageFailure {
  return new MessageFailure("caller-left", "the request is over", { side: "downstream" });
}
