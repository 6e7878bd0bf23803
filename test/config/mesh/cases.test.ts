/** What is in cases/, for mesh documents; see ../case-files.ts. */
import { join } from "node:path";
import { testCases } from "../case-files.ts";
import { loadDocument } from "./loading.ts";

testCases({
  folder: join(import.meta.dir, "cases"),
  subject: "a mesh document",
  mainFile: "mesh.yaml",
  load: loadDocument,
});
