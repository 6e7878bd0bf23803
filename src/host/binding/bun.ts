/**
 * Tries whether an address can be bound, without ever listening on it: a socket that listens, however shortly, accepts
 * connections, and whoever waits for this node to start would find one that is reset.
 */
import { dlopen, ptr, read } from "bun:ffi";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { constants } from "node:os";
import type { Address } from "../../machine.ts";
import { tryBind as tryListen } from "./node.ts";

// Of Linux, the same on x86-64 and arm64.
const afInet = 2;
const afInet6 = 10;
const sockStream = 1;
const sockCloseOnExec = 0o2000000;
const solSocket = 1;
const soReuseAddress = 2;

/**
 * Alone, as if nobody shared it; returns the address as bound. Rejects with an Error that has a `code`, e.g. EADDRINUSE,
 * EADDRNOTAVAIL, EACCES.
 */
export async function tryBind(address: Address): Promise<Address> {
  if ("unixPath" in address || process.platform !== "linux") return tryListen(address);
  let libc: Libc;
  try {
    libc = openLibc();
  } catch {
    // Another C library: a reset for somebody who was too early is the smaller evil.
    return tryListen(address);
  }
  const host = isIP(address.host) === 0 ? (await lookup(address.host)).address : address.host;
  const bound = socketAddress(libc, host, address.port);
  const code = bindOnce(libc, bound);
  if (code !== 0) throw systemError(code, `cannot bind ${host}`);
  return { host: address.host, port: new DataView(bound.buffer).getUint16(2) };
}

type Libc = ReturnType<typeof openLibc>;

function openLibc() {
  return dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
    inet_pton: { args: ["i32", "ptr", "ptr"], returns: "i32" },
    __errno_location: { args: [], returns: "ptr" },
  }).symbols;
}

/** The error's number; 0 when it can be bound, and then the address has the port that it got. */
function bindOnce(libc: Libc, address: Uint8Array): number {
  const family = new DataView(address.buffer).getUint16(0, true);
  const descriptor = libc.socket(family, sockStream | sockCloseOnExec, 0);
  if (descriptor < 0) return read.i32(libc.__errno_location()!, 0);
  try {
    libc.setsockopt(descriptor, solSocket, soReuseAddress, ptr(new Int32Array([1])), 4);
    const length = new Uint32Array([address.length]);
    if (libc.bind(descriptor, ptr(address), address.length) === 0) {
      if (libc.getsockname(descriptor, ptr(address), ptr(length)) === 0) return 0;
    }
    return read.i32(libc.__errno_location()!, 0);
  } finally {
    libc.close(descriptor);
  }
}

/** A sockaddr_in or sockaddr_in6: family in the machine's order, port in the network's, then the address. */
function socketAddress(libc: Libc, host: string, port: number): Uint8Array {
  const isV6 = isIP(host) === 6;
  const bytes = new Uint8Array(isV6 ? 28 : 16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, isV6 ? afInet6 : afInet, true);
  view.setUint16(2, port);
  const binary = new Uint8Array(16);
  libc.inet_pton(isV6 ? afInet6 : afInet, ptr(Buffer.from(`${host}\0`)), ptr(binary));
  bytes.set(isV6 ? binary : binary.subarray(0, 4), isV6 ? 8 : 4);
  return bytes;
}

function systemError(number: number, message: string): Error & { code: string } {
  const code =
    Object.entries(constants.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
  return Object.assign(new Error(`${message}: ${code}`), { code });
}
