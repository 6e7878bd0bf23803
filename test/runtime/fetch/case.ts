/** What the tests under both pairs share: the shape of a case, and answers of a service. */
import type { Context, Next } from "hono";
import type { RequestDraft, ResponseDraft } from "./both-pairs.ts";

export interface Case {
  readonly name: string;
  readonly uses: readonly ((c: Context, next: Next) => unknown)[];
  readonly request?: RequestDraft;
  readonly answer?: ResponseDraft;
}

export const after =
  (run: (c: Context) => unknown) =>
  async (c: Context, next: Next): Promise<void> => {
    await next();
    await run(c);
  };

export const json: ResponseDraft = {
  headers: { "content-type": "application/json", "content-length": "15" },
  body: ['{"a":1,', '"b":[2]}'],
};
export const text: ResponseDraft = {
  headers: { "content-type": "text/plain; charset=utf-8", etag: '"x"' },
  body: ["hello ", "world"],
};
export const longText: ResponseDraft = {
  headers: { "content-type": "text/html" },
  body: ["<p>".repeat(500), "</p>".repeat(500)],
};
export const cookies: ResponseDraft = {
  headers: { "content-type": "text/plain", "set-cookie": "a=1; Path=/" },
  body: ["ok"],
};

export const form = "a=1&b=two+words&a=3";
export const multipart =
  '--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x\r\ncontent-disposition: form-data; name="f"; filename="f.txt"\r\ncontent-type: text/plain\r\n\r\nfile\r\n--x--\r\n';
export const formHeaders = { "content-type": "application/x-www-form-urlencoded" };
