/** What a node keeps from one run to the next: who it is, and what it knew of the mesh last. */
import type { PrivateFolder, Random } from "../../machine.ts";
import type { Credentials } from "../../mesh.ts";
import type { MeshKnowledge } from "./mesh-view.ts";

/** A certificate with its key, as PEM. */
export interface OwnCredentials extends Credentials {
  readonly key: string;
  /** When this node got it: its start may lie before, so that machines whose clocks differ believe it. */
  readonly obtainedEpochMs: number;
}

/** Another one is as if there were none: the node joins anew, and waits for its first feed. */
const format = 1;
const names = {
  credentials: "credentials.json",
  mesh: "mesh.json",
  node: "node.json",
  /** Copies for people and openssl; nothing reads them back. */
  certificate: "certificate.pem",
  roots: "roots.pem",
} as const;

export class NodeState {
  readonly #folder: PrivateFolder;
  /** One after another: a later text must not be overtaken by an earlier one. */
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: PrivateFolder) {
    this.#folder = folder;
  }

  /** The same one each time. */
  async nodeId(random: Random): Promise<string> {
    const kept = await this.#read<{ readonly id: string }>(names.node);
    if (typeof kept?.id === "string" && /^[0-9a-f]{32}$/.test(kept.id)) return kept.id;
    const id = random.id();
    await this.#folder.replace(names.node, textOf({ id }));
    return id;
  }

  /** Null when there are none, or none that can be read. */
  credentials(): Promise<OwnCredentials | null> {
    return this.#read<OwnCredentials>(names.credentials);
  }

  keepCredentials(credentials: OwnCredentials): Promise<void> {
    return this.#write(async () => {
      // Key and certificate in one file: they fit each other at any moment.
      await this.#folder.replace(names.credentials, textOf(credentials));
      await this.#folder.replace(names.certificate, credentials.certificate);
      await this.#folder.replace(names.roots, credentials.roots);
    });
  }

  mesh(): Promise<MeshKnowledge | null> {
    return this.#read<MeshKnowledge>(names.mesh);
  }

  keepMesh(knowledge: MeshKnowledge): Promise<void> {
    return this.#write(() => this.#folder.replace(names.mesh, textOf(knowledge)));
  }

  /** Lets its folder go when all is written: the next process in it must not be overtaken. */
  async close(): Promise<void> {
    await this.#writing;
    this.#folder.release();
  }

  #write(work: () => Promise<void>): Promise<void> {
    const next = this.#writing.then(work);
    this.#writing = next.catch(() => {});
    return next;
  }

  async #read<Kept>(name: string): Promise<Kept | null> {
    const text = await this.#folder.read(name);
    if (text === null) return null;
    try {
      const { format: written, kept } = JSON.parse(text) as { format?: unknown; kept?: Kept };
      return written === format && kept !== undefined ? kept : null;
    } catch {
      return null;
    }
  }
}

function textOf(kept: unknown): string {
  return `${JSON.stringify({ format, kept })}\n`;
}
