/** Opens the store in a process of its own, and prints why that was refused. */
import { openSqliteStore } from "../../../src/coordinator/store/sqlite.ts";
import { StoreFailure } from "../../../src/coordinator/store/store.ts";
import { openDatabase } from "../../../src/host/database/node.ts";

try {
  await openSqliteStore(openDatabase, process.argv[2]!);
  console.log("opened");
} catch (error) {
  console.log(error instanceof StoreFailure ? error.reason : error);
}
