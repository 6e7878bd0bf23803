/** What is in cases/, for the config of a node; see case-files.ts. */
import { join } from "node:path";
import { testCases } from "./case-files.ts";
import { load } from "./fixture.ts";

testCases({
  folder: join(import.meta.dir, "cases"),
  subject: "loadConfig",
  mainFile: "clearway.yaml",
  load,
});
