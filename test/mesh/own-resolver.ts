/** A program that asks a DNS server of the test's: it sees another /etc/resolv.conf than others (mount_namespaces(7)). */
import { spawnSync } from "node:child_process";

/** Port 53 is not chosen in that file, but an address is: each run of the tests has its own. */
export const resolverAddress = `127.${64 + ((process.pid >> 16) & 63)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;
export const resolverPort = 53;
export const resolverFile = `nameserver ${resolverAddress}\n`;

/** Why it cannot be had; null when it can. */
export function resolverMissing(): string | null {
  if (Bun.which("unshare") === null) return "skipped: needs unshare (apt-get install util-linux)";
  const { status } = spawnSync("unshare", ["--mount", "true"]);
  return status === 0 ? null : "skipped: another /etc/resolv.conf needs root";
}

/** What stands in front of its command; `file` has the text of `resolverFile`. The program keeps the process's id. */
export function withResolver(file: string): readonly string[] {
  return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', file];
}
