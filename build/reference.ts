/** `npm run docs`: writes the pages in docs/reference/ anew. */
import { pages } from "./reference/pages.ts";

const root = new URL("..", import.meta.url).pathname;
for (const { path, make } of pages) {
  await Bun.write(`${root}${path}`, await make());
  console.log(path);
}
