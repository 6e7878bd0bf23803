/**
 * The service manager that started this process, if one did, by the protocol of sd_notify(3): one datagram for each
 * message, to the unix socket that NOTIFY_SOCKET names. No runtime has unix datagrams, so the C library sends them.
 */
import { dlopen, ptr } from "bun:ffi";
import type { ServiceManager } from "../../machine.ts";
import { nobody } from "./node.ts";

// Of Linux, the same on x86-64 and arm64.
const afUnix = 1;
const sockDatagram = 2;
const sockCloseOnExec = 0o2000000;
const sendWithoutWaiting = 0x40;
const sendWithoutSignal = 0x4000;
/** `sun_path` of a sockaddr_un. */
const pathBytesMax = 108;

/** Does nothing where no service manager listens. */
export function serviceManager(path: string): ServiceManager {
  if (!/^[/@]/.test(path) || Buffer.byteLength(path) >= pathBytesMax) return nobody;
  let libc: Libc;
  try {
    libc = openLibc();
  } catch {
    return nobody;
  }
  const address = socketAddress(path);
  return { notify: (lines) => send(libc, address, Buffer.from(lines.join("\n"))) };
}

type Libc = ReturnType<typeof openLibc>;

function openLibc() {
  return dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
  }).symbols;
}

/** A message that cannot be sent is lost, as with sd_notify itself. */
function send(libc: Libc, address: Uint8Array, message: Buffer): void {
  const descriptor = libc.socket(afUnix, sockDatagram | sockCloseOnExec, 0);
  if (descriptor < 0) return;
  const flags = sendWithoutWaiting | sendWithoutSignal;
  libc.sendto(descriptor, ptr(message), message.length, flags, ptr(address), address.length);
  libc.close(descriptor);
}

/** Family, then the path; a leading @ stands for the zero byte of the abstract namespace (unix(7)). */
function socketAddress(path: string): Uint8Array {
  const name = Buffer.from(path);
  if (path.startsWith("@")) name[0] = 0;
  const bytes = new Uint8Array(2 + name.length);
  new DataView(bytes.buffer).setUint16(0, afUnix, true);
  bytes.set(name, 2);
  return bytes;
}
