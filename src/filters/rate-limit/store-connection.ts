/** One connection to a store, as the library has it. Loaded where a config names a store. */
import { createClient, defineScript } from "@redis/client";
import { bucketScript } from "./bucket-script.ts";
import type { StoreAddress } from "./store-address.ts";

/** As the script takes them. */
export interface StoredRules {
  readonly intervalUs: number;
  readonly capacityUs: number;
}

export interface StoreConnection {
  /** Once the server answered; rejects when it cannot be asked. */
  readonly ready: Promise<unknown>;
  /** Takes from a bucket; rejects when the connection breaks. */
  take(bucket: string, rules: StoredRules): Promise<unknown>;
  /** At once; what was asked is rejected. */
  close(): void;
}

const take = defineScript({
  SCRIPT: bucketScript,
  NUMBER_OF_KEYS: 1,
  parseCommand(parser, bucket: string, { intervalUs, capacityUs }: StoredRules) {
    parser.pushKey(bucket);
    parser.push(String(intervalUs), String(capacityUs));
  },
  transformReply: (reply: unknown) => reply,
});

/** `lost` is called once if it ends without being closed, or never begins. */
export function openStore(address: StoreAddress, lost: (error: Error) => void): StoreConnection {
  const { socket, username, password, database } = address;
  const client = createClient({
    // Who waits, and how long, is decided elsewhere; a connection that broke is replaced, not repaired.
    socket: { ...socket, reconnectStrategy: false },
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    database,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    RESP: 2,
    scripts: { take },
  });
  let open = true;
  const close = () => {
    if (!open) return;
    open = false;
    client.destroy();
  };
  client.on("error", (error: Error) => {
    if (!open) return;
    close();
    lost(error);
  });
  // A server that hangs still takes connections: it has to say something first.
  const ready = client.connect().then(() => client.ping());
  return { ready, take: (bucket, rules) => client.take(bucket, rules), close };
}
