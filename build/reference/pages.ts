/** The pages of docs/reference/. */
import { configPage } from "./config-page.ts";
import { filtersPage } from "./filters-page.ts";

export interface Page {
  readonly path: string;
  make(): string | Promise<string>;
}

export const pages: readonly Page[] = [
  { path: "docs/reference/config.md", make: configPage },
  { path: "docs/reference/filters.md", make: filtersPage },
];
