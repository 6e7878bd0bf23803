/** The real openssl, which judges our certificates as others' programs do. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const block = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n?/g;

/** Runs it in a folder with these files; returns what it printed. Throws where it failed. */
export function openssl(args: readonly string[], files: Readonly<Record<string, string>> = {}): string {
  const { code, text } = tryOpenssl(args, files);
  if (code !== 0) throw new Error(`openssl ${args.join(" ")} failed:\n${text}`);
  return text;
}

/** `made`: files to read afterwards. */
export function opensslFiles(
  args: readonly string[],
  files: Readonly<Record<string, string>>,
  made: readonly string[],
): readonly string[] {
  return inFolder(files, (folder) => {
    const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: folder });
    if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")} failed:\n${stderr.toString()}`);
    return made.map((name) => readFileSync(join(folder, name), "utf8"));
  });
}

function tryOpenssl(args: readonly string[], files: Readonly<Record<string, string>>) {
  return inFolder(files, (folder) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: folder });
    return { code: exitCode, text: stdout.toString() + stderr.toString() };
  });
}

export interface Judged {
  /** PEM: a leaf, then what leads to a root. */
  readonly certificate: string;
  readonly roots: string;
  readonly purpose: "sslclient" | "sslserver";
  readonly atEpochMs: number;
}

/** What `openssl verify` says: `OK`, or why not. */
export function opensslVerdict({ certificate, roots, purpose, atEpochMs }: Judged): string {
  const [leaf = "", ...between] = certificate.match(block) ?? [];
  const files = { "leaf.pem": leaf, "between.pem": between.join(""), "roots.pem": roots };
  const untrusted = between.length > 0 ? ["-untrusted", "between.pem"] : [];
  const at = ["-attime", String(Math.floor(atEpochMs / 1000))];
  const args = ["verify", "-x509_strict", "-purpose", purpose, ...at, "-CAfile", "roots.pem", ...untrusted];
  const { text } = tryOpenssl([...args, "leaf.pem"], files);
  return text.trim().endsWith("leaf.pem: OK") ? "OK" : text;
}

function inFolder<Result>(files: Readonly<Record<string, string>>, work: (folder: string) => Result): Result {
  const folder = mkdtempSync(join(tmpdir(), "clearway-openssl-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
