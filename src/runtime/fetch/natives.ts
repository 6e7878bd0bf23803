/** The host's own classes, taken before they are replaced: everything rare is handed to them. */
export const NativeRequest = globalThis.Request;
export const NativeResponse = globalThis.Response;
export const NativeHeaders = globalThis.Headers;
export const NativeStream = globalThis.ReadableStream;
export const nativeFetch = globalThis.fetch;
