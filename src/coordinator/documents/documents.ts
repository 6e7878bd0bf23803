/**
 * Versions of the mesh document. A new one holds when the store has taken it, and not before; whoever compared theirs with
 * an older one is told who was faster, and nothing changes.
 */
import { difference } from "../../config/mesh/difference.ts";
import type { Clock } from "../../machine.ts";
import type {
  ApplyAnswer,
  ApplyRequest,
  CheckedDocument,
  Difference,
  DocumentFile,
  DocumentVersion,
  RollbackRequest,
  VersionSummary,
} from "../../mesh.ts";
import { Refusal } from "../refusal.ts";
import { type Store, storeLimits } from "../store/store.ts";
import { demandShape } from "./shape.ts";

export interface DocumentsParts {
  readonly store: Pick<Store, "appendVersion" | "currentVersion" | "readVersion" | "listVersions">;
  readonly clock: Pick<Clock, "epochMs">;
  /** The mesh's: every certificate has it. Null where its first document says it. */
  readonly trustDomain: string | null;
  /** For files that come alone. Rejects with a Refusal. */
  checkFiles(files: readonly DocumentFile[]): Promise<CheckedDocument>;
}

/** Whose base is null takes what is there: so often somebody else may be faster. */
const triesMax = 10;

/** What a version is made of. */
type Content = Pick<DocumentVersion, "files" | "config" | "resolved" | "restores">;

export class Documents {
  readonly #parts: DocumentsParts;
  /** One after another: each compares itself with what the one before left. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: DocumentsParts) {
    this.#parts = parts;
  }

  /** "try" changes nothing. Rejects with a Refusal, or a StoreFailure. */
  async apply(request: ApplyRequest, by: string, how: "try" | "apply"): Promise<ApplyAnswer> {
    const checked = await this.#checked(request);
    const { base } = request;
    if (how === "apply")
      return this.#inTurn(() => this.#append({ ...checked, restores: null }, { base, by }));
    const current = await this.#parts.store.currentVersion();
    this.#demandTrustDomain(checked, current);
    this.#demandBase(base, current);
    return { version: current?.version ?? 0, difference: difference(current, checked) };
  }

  async rollback({ version, base }: RollbackRequest, by: string): Promise<ApplyAnswer> {
    const { files, config, resolved } = await this.read(version);
    const content = { files, config, resolved, restores: version };
    return this.#inTurn(() => this.#append(content, { base, by }));
  }

  /** The current one for null. */
  async read(version: number | null): Promise<DocumentVersion> {
    const { store } = this.#parts;
    const found = await (version === null ? store.currentVersion() : store.readVersion(version));
    if (found !== null) return found;
    throw new Refusal("no-such-version", noSuchVersion(version, await this.list()));
  }

  /** The newest first. */
  list(): Promise<readonly VersionSummary[]> {
    return this.#parts.store.listVersions(storeLimits.versions);
  }

  /**
   * The document that the coordinator was started with: the first version of an empty store, and otherwise compared with
   * what holds, which stays.
   */
  async begin(
    document: CheckedDocument | null,
    by: string,
  ): Promise<{ readonly current: DocumentVersion | null; readonly differs: Difference | null }> {
    const current = await this.#parts.store.currentVersion();
    if (document === null) return { current, differs: null };
    if (current === null) {
      await this.apply({ files: document.files, checked: document, base: 0 }, by, "apply");
      return { current: await this.read(null), differs: null };
    }
    const differs = difference(current, document);
    return { current, differs: differs.changes.length === 0 ? null : differs };
  }

  async #checked({ files, checked }: ApplyRequest): Promise<CheckedDocument> {
    if (checked === null) return this.#parts.checkFiles(files);
    demandShape(checked);
    const { config, resolved } = checked;
    return { files, config, resolved };
  }

  async #append(content: Content, { base, by }: { base: number | null; by: string }): Promise<ApplyAnswer> {
    const { store, clock } = this.#parts;
    for (let tries = 1; ; tries++) {
      const current = await store.currentVersion();
      this.#demandTrustDomain(content, current);
      this.#demandBase(base, current);
      if (current !== null && isSame(current, content)) {
        return { version: current.version, difference: { changes: [] } };
      }
      const next: DocumentVersion = {
        version: (current?.version ?? 0) + 1,
        appliedEpochMs: clock.epochMs(),
        by,
        ...content,
      };
      if ((await store.appendVersion(next)) === "stored") {
        return { version: next.version, difference: difference(current, next) };
      }
      if (tries === triesMax) {
        throw new Refusal("version-conflict", `${triesMax} versions came in between: apply it again`);
      }
    }
  }

  #demandBase(base: number | null, current: DocumentVersion | null): void {
    const version = current?.version ?? 0;
    if (base === null || base === version) return;
    if (current === null || base > version) {
      const holds = current === null ? "there is none yet" : `the newest is version ${version}`;
      throw new Refusal("version-conflict", `you compared with version ${base}, which is not here: ${holds}`);
    }
    const when = new Date(current.appliedEpochMs).toISOString();
    throw new Refusal(
      "version-conflict",
      `${current.by} applied version ${version} at ${when}, after the version ${base} that you compared with: ` +
        `see \`clearway diff ${base} ${version}\`, then apply yours again`,
    );
  }

  /** Certificates and tokens have it: another one is another mesh. */
  #demandTrustDomain({ config }: Pick<Content, "config">, current: DocumentVersion | null): void {
    const trustDomain = this.#parts.trustDomain ?? current?.config.trustDomain;
    if (trustDomain === undefined || config.trustDomain === trustDomain) return;
    throw new Refusal(
      "document-invalid",
      `its trustDomain is ${config.trustDomain}, and this mesh is ${trustDomain}: another trust domain is another mesh, ` +
        "with a coordinator and a store of its own",
    );
  }

  #inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const done = this.#turn.then(run, run);
    this.#turn = done.catch(() => {});
    return done;
  }
}

/** `kept` has the newest first. */
function noSuchVersion(version: number | null, kept: readonly VersionSummary[]): string {
  const [newest, oldest] = [kept[0]?.version ?? 0, kept.at(-1)?.version ?? 0];
  if (version === null || newest === 0) {
    return "there is no mesh document yet: `clearway apply -f FILE` applies the first";
  }
  const listed = "`clearway get versions` lists those that are kept";
  if (version > newest) return `there is no version ${version}, the newest is version ${newest}: ${listed}`;
  const { versions, versionBytes } = storeLimits;
  return (
    `version ${version} is no longer kept, the oldest is version ${oldest}: the coordinator keeps the last ${versions}, ` +
    `and no more than fit into ${versionBytes / 2 ** 20} MiB; ${listed}`
  );
}

/** Whether nothing at all is another: not even a line of a file. */
function isSame(current: DocumentVersion, content: Content): boolean {
  const text = ({ files, config, resolved }: Omit<Content, "restores">) =>
    JSON.stringify([files, config, resolved]);
  return text(current) === text(content);
}
