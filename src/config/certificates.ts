/**
 * The files that `tls` names. They are part of the configuration: read with it, watched with it, and when anything is
 * wrong with one, what served before goes on.
 */

import type { Certificates, Clock } from "../machine.ts";
import type { CertificateConfig } from "../snapshot.ts";
import { directoryOf, joinPath } from "./file-path.ts";
import type { WatchedFiles } from "./files.ts";
import { childOf, childrenOf, hiddenHints, type Located, type Part, spotOf } from "./located.ts";
import type { Report } from "./problem.ts";
import { lineOf } from "./source.ts";

/** A bundle of every public authority has some 220,000. */
const charactersMax = 1 << 20;
const filesMax = 4096;
const fileKeys = ["certificate", "key", "clientCa", "ca"];

export interface TlsFile {
  /** As problems show it. */
  readonly path: string;
  readonly text: string;
}

/** By the value that names it; one that cannot be read is missing here, and was reported. */
export type TlsFiles = ReadonlyMap<Located, TlsFile>;

export interface CertificateContext {
  readonly report: Report;
  readonly tlsFiles: TlsFiles;
  readonly certificates: Certificates;
  readonly clock: Pick<Clock, "epochMs">;
}

export async function readTlsFiles(root: Part, files: WatchedFiles, report: Report): Promise<TlsFiles> {
  const found = new Map<Located, TlsFile>();
  const texts = new Map<string, ReturnType<WatchedFiles["read"]>>();
  for (const part of [...partsWithTls(root)].flatMap(namedFiles)) {
    const { node } = part;
    if (node.kind !== "scalar" || typeof node.value !== "string" || node.value === "") continue;
    const path = joinPath(directoryOf(node.range.file.name), node.value);
    if (!texts.has(path) && texts.size === filesMax) {
      report.add(node.range, part.path, {
        message: `cannot read more than ${filesMax} files of certificates`,
      });
      break;
    }
    const reading = texts.get(path) ?? files.read(path, charactersMax);
    texts.set(path, reading);
    const result = await reading;
    if (result.ok) found.set(node, { path, text: result.value });
    else
      report.add(node.range, part.path, {
        // A value of the environment may be the key itself.
        message: `cannot read ${JSON.stringify(node.written ?? path)}: ${result.reason}`,
        hints: hiddenHints(node),
      });
  }
  return found;
}

function* partsWithTls(root: Part): Iterable<Part> {
  for (const section of ["listeners", "services"]) {
    const named = childOf(root, section);
    for (const [, part] of named === null ? [] : childrenOf(named)) {
      const tls = childOf(part, "tls");
      if (tls === null) continue;
      if (tls.node.kind === "list") yield* childrenOf(tls).map(([, entry]) => entry);
      else yield tls;
    }
  }
}

function namedFiles(part: Part): Part[] {
  return fileKeys.flatMap((key) => childOf(part, key) ?? []);
}

/** A pair of `certificate` and `key`; null when anything is wrong with it. */
export function readCertificate(part: Part, context: CertificateContext): CertificateConfig | null {
  const certificatePart = childOf(part, "certificate");
  const keyPart = childOf(part, "key");
  const certificate = certificatePart && context.tlsFiles.get(certificatePart.node);
  const key = keyPart && context.tlsFiles.get(keyPart.node);
  if (!certificate || !key) return null;
  const facts = validFacts(certificatePart, context);
  if (facts === null || !belongTogether({ certificate, key, keyPart }, context)) return null;
  return {
    certificate: certificate.text,
    key: key.text,
    files: { certificate: certificate.path, key: key.path },
    names: facts[0]!.names,
    expiresEpochMs: Math.min(...facts.map(({ expiresEpochMs }) => expiresEpochMs)),
    place: { file: part.node.range.file.name, line: lineOf(part.node.range) },
  };
}

/** The authorities of a PEM file; null when it names none, or anything is wrong with it. */
export function readAuthorities(part: Part | null, context: CertificateContext): TlsFile | null {
  const file = part === null ? undefined : context.tlsFiles.get(part.node);
  if (part === null || file === undefined) return null;
  return parsed(part, file, context) === null ? null : file;
}

function parsed(part: Part, file: TlsFile, { certificates, report }: CertificateContext) {
  try {
    return certificates.read(file.text);
  } catch (error) {
    report.add(spotOf(part), part.path, {
      message: `cannot use ${JSON.stringify(file.path)}: ${reason(error)}`,
    });
    return null;
  }
}

function validFacts(part: Part, context: CertificateContext) {
  const file = context.tlsFiles.get(part.node)!;
  const facts = parsed(part, file, context);
  if (facts === null) return null;
  const now = context.clock.epochMs();
  const wrong = facts.find(
    ({ startsEpochMs, expiresEpochMs }) => now < startsEpochMs || now >= expiresEpochMs,
  );
  if (wrong === undefined) return facts;
  const when =
    now < wrong.startsEpochMs
      ? `begins at ${day(wrong.startsEpochMs)}`
      : `ended at ${day(wrong.expiresEpochMs)}`;
  context.report.add(spotOf(part), part.path, {
    message: `cannot use ${JSON.stringify(file.path)}: the certificate of ${wrong.subject} ${when}`,
  });
  return null;
}

function belongTogether(
  pair: { readonly certificate: TlsFile; readonly key: TlsFile; readonly keyPart: Part },
  { certificates, report }: CertificateContext,
): boolean {
  const { certificate, key, keyPart } = pair;
  const complain = (message: string, hints: readonly string[] = []) => {
    report.add(spotOf(keyPart), keyPart.path, { message, hints });
    return false;
  };
  try {
    const owner = certificates.owner(certificate.text, key.text);
    if (owner === 0) return true;
    const which = `the ${owner < 0 ? "" : "first "}certificate in ${JSON.stringify(certificate.path)}`;
    return complain(`cannot use ${JSON.stringify(key.path)}: it is not the key of ${which}`, [
      owner < 0
        ? "when the two are being replaced, they are read again as soon as the second is saved"
        : `it is the key of number ${owner + 1}: wanted that one first, then what leads to its root`,
    ]);
  } catch (error) {
    return complain(`cannot use ${JSON.stringify(key.path)}: ${reason(error)}`);
  }
}

function day(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(".000", "");
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
