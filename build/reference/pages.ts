/** The pages of docs/reference/. */
import { configPage } from "./config-page.ts";
import { filtersPage } from "./filters-page.ts";
import { meshPage } from "./mesh-page.ts";

export interface Page {
  readonly path: string;
  make(): string | Promise<string>;
}

export const pages: readonly Page[] = [
  { path: "docs/reference/config.md", make: configPage },
  { path: "docs/reference/mesh.md", make: meshPage },
  { path: "docs/reference/filters.md", make: filtersPage },
];
