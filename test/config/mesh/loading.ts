/** Mesh documents for tests, with the program's own filters. */
import { type LoadResult, loadConfig } from "../../../src/config/load.ts";
import type { CheckedDocument, MeshService } from "../../../src/mesh.ts";
import { findFilters } from "../../found-filters.ts";
import { filesOf, host, type Texts } from "../fixture.ts";

/** Loads `mesh.yaml` of these texts. */
export function loadDocument(
  texts: Texts,
  environment: Readonly<Record<string, string>> = {},
): Promise<LoadResult> {
  const files = filesOf(texts);
  const wanted = "mesh";
  return loadConfig({ ...host, file: "mesh.yaml", files, findFilters, environment, version: 1, wanted });
}

/** The services as YAML, indented by two. */
export async function documentOf(services: string, root = ""): Promise<CheckedDocument> {
  const text = `trustDomain: store.example\n${root}\nservices:\n${services}`;
  const { document, problems } = await loadDocument({ "mesh.yaml": text });
  if (document === null)
    throw new Error(problems.map(({ message, path }) => `${path}: ${message}`).join("\n"));
  return document;
}

export function serviceIn({ config }: CheckedDocument, name: string): MeshService {
  const found = config.services.find((service) => service.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}
