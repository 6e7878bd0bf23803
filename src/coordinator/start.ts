/** From a store to a port: opens what a coordinator needs, in the order in which one needs the other, and closes it again. */
import type { OpenDatabase } from "../database.ts";
import type { Address, Clock, OpenPrivateFolder, PrivateFolder, Random } from "../machine.ts";
import type { CheckedDocument, Difference, DocumentFile } from "../mesh.ts";
import type { Log } from "../types.ts";
import type { ApiApp } from "./api/api.ts";
import { Coordinator } from "./coordinator.ts";
import { Documents } from "./documents/documents.ts";
import { Authority, type ServerCertificate, type ServerNames } from "./identity/authority.ts";
import { type GivenAuthority, type GivenTexts, readGivenAuthority } from "./identity/given-authority.ts";
import { ServerCertificateKeeper } from "./identity/server-certificate.ts";
import { serverNames } from "./identity/server-names.ts";
import { Tokens } from "./identity/tokens.ts";
import { openStore } from "./store/choice.ts";
import type { Store } from "./store/store.ts";

/** How long requests that are under way may take when it ends. */
const drainMs = 5_000;
/** Where `clearway token create` and the others look for the operator's token. */
export const coordinatorFolder = ".clearway";
/**
 * Longer than other listeners give: when a whole mesh comes at once, a handshake waits behind all the others of its process
 * and of this one. Whoever is cut off comes again, and costs one more.
 */
export const handshakeTimeoutMs = 15_000;
const operatorTokenName = "operator.token";

export interface StartParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly openDatabase: OpenDatabase;
  /** Null when another process has it open. */
  readonly openFolder: OpenPrivateFolder;
  /** For a mesh document of which only the files came. */
  checkFiles(files: readonly DocumentFile[]): Promise<CheckedDocument>;
  /** HTTPS; rejects with an Error that has a `code` when the address cannot be bound. */
  serve(address: Address, tls: ServedTls, app: ApiApp): Promise<Served>;
}

export interface ServedTls {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa: string;
  readonly clientAuth: "optional";
  /** Whose services' certificates alone are taken. */
  readonly trustDomain: string;
  readonly versionMin: "1.2";
}

export interface Served {
  /** As bound. */
  readonly address: Address;
  renew(tls: ServedTls): void;
  drain(timeoutMs: number): Promise<void>;
}

export interface StartWish {
  readonly bind: { readonly host: string; readonly port: number };
  /** As after `--store`. */
  readonly store: string;
  readonly names: readonly string[];
  readonly given: GivenTexts | null;
  /** The mesh document of `-c`; null without it. */
  readonly document: CheckedDocument | null;
  /** Whom the operator's token names, and who applies what `-c` says. */
  readonly operator: string;
}

export interface StartedCoordinator {
  /** As bound. */
  readonly address: Address;
  readonly trustDomain: string;
  readonly rootFingerprint: string;
  /** The version of the mesh document that holds now. */
  version(): number;
  readonly services: readonly string[];
  /** What `-c` says and the version that holds does not; null when they are the same. */
  readonly differs: Difference | null;
  /** Makes this the version that holds; returns its number. */
  apply(document: CheckedDocument): Promise<number>;
  close(): Promise<void>;
}

/** Rejects with an Error that says to people what is wrong. */
export async function startCoordinator(parts: StartParts, wish: StartWish): Promise<StartedCoordinator> {
  const names = serverNames(wish.bind.host, wish.names);
  const given = wish.given === null ? null : await readGivenAuthority(wish.given, parts.clock.epochMs());
  const store = await openStore(wish.store, parts.openDatabase);
  const closing: (() => Promise<void> | void)[] = [() => store.close()];
  const close = async () => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    return { ...(await startOn(store, { parts, wish, names, given, closing })), close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Starting {
  readonly parts: StartParts;
  readonly wish: StartWish;
  readonly names: ServerNames;
  readonly given: GivenAuthority | null;
  /** What is to be ended, the last one first. */
  readonly closing: (() => Promise<void> | void)[];
}

async function startOn(store: Store, starting: Starting): Promise<Omit<StartedCoordinator, "close">> {
  const { parts, wish, names, given, closing } = starting;
  const { clock, random, log, checkFiles } = parts;
  const trustDomain = await trustDomainOf(store, wish);
  const authority = await Authority.open({ store, clock, random, log, given });
  const { rootFingerprint } = authority;
  const tokens = await Tokens.open({ store, clock, random, rootFingerprint });
  const documents = new Documents({ store, clock, trustDomain, checkFiles });
  const { differs } = await documents.begin(wish.document, wish.operator);
  const folder = await openFolder(parts);
  closing.push(() => folder.release());
  const writeOperatorToken = () => keepOperatorToken(folder, tokens, wish.operator);
  await writeOperatorToken();
  const coordinator = await Coordinator.open({
    ...{ ...parts, store, trustDomain, authority, tokens, documents, writeOperatorToken },
  });
  let served: Served | null = null;
  closing.push(async () => {
    const drained = served?.drain(drainMs);
    // Its feeds end with it, and their connections.
    await coordinator.close();
    await drained;
  });
  const certificate = await ServerCertificateKeeper.open({ clock, log, authority, names });
  closing.push(() => certificate.close());
  const tlsOf = ({ certificate: text, key }: ServerCertificate): ServedTls => ({
    ...{ certificate: text, key, clientCa: authority.roots, trustDomain },
    ...{ clientAuth: "optional", versionMin: "1.2" },
  });
  const port = await parts.serve(wish.bind, tlsOf(certificate.current), coordinator.app);
  served = port;
  certificate.start((next) => port.renew(tlsOf(next)));
  const current = await store.currentVersion();
  return {
    address: port.address,
    trustDomain,
    rootFingerprint,
    version: () => coordinator.version,
    services: (current?.config.services ?? []).map(({ name }) => name),
    differs,
    async apply({ files, config, resolved }) {
      const request = { files, checked: { config, resolved }, base: null };
      const { version } = await documents.apply(request, wish.operator, "apply");
      await coordinator.adopt();
      return version;
    },
  };
}

async function openFolder({ openFolder: open }: StartParts): Promise<PrivateFolder> {
  const folder = await open(coordinatorFolder);
  if (folder !== null) return folder;
  throw new Error(
    `another coordinator writes its operator's token to ${coordinatorFolder}: start this one elsewhere`,
  );
}

/** The store's, whose certificates are out there; the document's only where the store is empty. */
async function trustDomainOf(store: Store, { store: name, document }: StartWish): Promise<string> {
  const config = (await store.currentVersion())?.config ?? document?.config;
  if (config !== undefined) return config.trustDomain;
  throw new Error(
    `the store ${name} is empty: name the mesh document with -c FILE, which says whose mesh it is (trustDomain)`,
  );
}

/** Written before the port opens: who sees the port finds the token. One that holds stays. */
async function keepOperatorToken(folder: PrivateFolder, tokens: Tokens, operator: string): Promise<void> {
  const found = (await folder.read(operatorTokenName))?.trim() ?? "";
  const holds = await tokens.checkOperator(found).then(
    () => true,
    () => false,
  );
  if (!holds) await folder.replace(operatorTokenName, `${await tokens.createOperator(operator)}\n`);
}
