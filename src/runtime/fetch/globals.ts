/** Puts the lightweight pair in place of the host's own. */
import { LightStream } from "./body-stream.ts";
import { LightHeaders } from "./headers.ts";
import { NativeHeaders, NativeRequest, NativeResponse, nativeFetch } from "./natives.ts";
import { isLightRequest, LightRequest } from "./request.ts";
import { LightResponse } from "./response.ts";

type Constructor = abstract new (...parts: never[]) => object;

/**
 * From now on `Request`, `Response` and `Headers` are ours; `instanceof` is true for both kinds, also with the
 * host's own classes where other code took them earlier. Calling it again changes nothing.
 */
export function installGlobals(): void {
  replace("Request", LightRequest, NativeRequest);
  replace("Response", LightResponse, NativeResponse);
  replace("Headers", LightHeaders, NativeHeaders);
  // Bun's fetch has members of its own, e.g. preconnect.
  globalThis.fetch = Object.assign(fetchAny, nativeFetch) as typeof fetch;
}

/** The host's fetch, given messages of ours too. A light Request goes out as url and init: no method is lost. */
export function fetchAny(input: Request | string | URL, init?: RequestInit): Promise<Response> {
  if (isLightRequest(input)) return nativeFetch(input.url, nativeInit({ ...requestInit(input), ...init }));
  return nativeFetch(input, init === undefined ? undefined : nativeInit(init));
}

function requestInit(request: LightRequest): RequestInit {
  const { method, headers, redirect, signal, body } = request;
  const init: RequestInit = { method, headers: headers as unknown as Headers, redirect, signal };
  return body === null ? init : { ...init, body: body as ReadableStream<Uint8Array> };
}

/** The host needs its own streams; our Headers it reads like any iterable. */
function nativeInit(init: RequestInit): RequestInit {
  const body: unknown = init.body;
  if (body instanceof LightStream) return { ...init, body: body.real(), duplex: "half" } as RequestInit;
  return init;
}

function replace(name: "Request" | "Response" | "Headers", light: Constructor, native: Constructor): void {
  const isEither = (value: unknown): boolean => isInstance(native, value) || isInstance(light, value);
  for (const kind of [light, native]) {
    Object.defineProperty(kind, Symbol.hasInstance, {
      configurable: true,
      // A subclass inherits this, and is nobody's but its own.
      value(this: Constructor, value: unknown) {
        return this === light || this === native ? isEither(value) : isInstance(this, value);
      },
    });
  }
  Object.defineProperty(light, "name", { value: name, configurable: true });
  Object.defineProperty(globalThis, name, {
    value: light,
    writable: true,
    configurable: true,
    enumerable: false,
  });
}

function isInstance(kind: Constructor, value: unknown): boolean {
  return Function.prototype[Symbol.hasInstance].call(kind, value);
}
