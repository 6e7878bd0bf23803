/** What test/host/terminal.test.ts starts: a verb that says two megabytes and ends at once. */
import { systemTerminal } from "../../src/host/terminal/node.ts";

systemTerminal.out("x".repeat(2_000_000));
systemTerminal.error("done");
process.exit(0);
