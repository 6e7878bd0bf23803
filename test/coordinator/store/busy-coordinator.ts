/** Writes to a store without end, until it is killed, and prints the number of each version when all of it is kept. */
import { writeSync } from "node:fs";
import { openSqliteStore } from "../../../src/coordinator/store/sqlite.ts";
import { openDatabase } from "../../../src/host/database/node.ts";
import { instance, version } from "./contract.ts";

const store = await openSqliteStore(openDatabase, process.argv[2]!);
let number = (await store.currentVersion())?.version ?? 0;
for (;;) {
  number += 1;
  await store.appendVersion(version(number, "x".repeat(number * 10)));
  const put = ["left", "right"].map((side) => ({ node: "n", instance: instance(`${side}-${number}`) }));
  await store.changeInstances({ put, removed: [] });
  writeSync(1, `${number}\n`);
}
