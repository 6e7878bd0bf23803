/** Under which address of its machine others reach a node that listens on all of them. */
import { familyOf, isUsable } from "../dns/addresses.ts";

/** What the machine knows of the ways to others. */
export interface Routes {
  /** Of a name, or of an address itself. Rejects when there is none. */
  addressesOf(host: string): Promise<readonly string[]>;
  /** The address of this machine from which it reaches that one. Rejects when there is no way. */
  localAddress(address: string, port: number): Promise<string>;
}

/** Of one name. */
const addressesTriedMax = 16;

/**
 * The first address from which this machine reaches the coordinator that a caller can use: one of a family on which the node
 * listens, and not of one link alone. `listensOn`: `0.0.0.0`, which is IPv4 alone, or `::`, which is both. Rejects with an Error
 * that says what to do.
 */
export async function ownAddress(
  { addressesOf, localAddress }: Routes,
  coordinator: { readonly host: string; readonly port: number },
  listensOn: string,
): Promise<string> {
  const { host, port } = coordinator;
  const faults: unknown[] = [];
  const passedBy: string[] = [];
  for (const address of (await addressesOf(host)).slice(0, addressesTriedMax)) {
    try {
      const own = await localAddress(address, port);
      if (isUsable(own) && (listensOn === "::" || familyOf(own) === "IPv4")) return own;
      passedBy.push(own);
    } catch (error) {
      faults.push(error);
    }
  }
  if (passedBy.length === 0) throw faults[0];
  const why =
    listensOn === "::"
      ? "which others cannot use: wanted"
      : "and --inbound listens on IPv4 alone: wanted --inbound [::]:PORT, or";
  throw new Error(
    `this machine reaches the coordinator at ${host} from ${passedBy.join(" and ")}, ${why} --advertise HOST:PORT`,
  );
}
