/** Whether a path is one that a pattern takes, for who has a few of them; the router has a tree for thousands. */

/**
 * `pattern`: as `pathPattern` reads it, null for any path. `:name` takes one segment that is not empty; `*`, at the end,
 * takes what is left, nothing too: `/a/*` takes `/a`. The path is compared as it is spelt.
 */
export function pathMatcher(pattern: string | null): (path: string) => boolean {
  if (pattern === null) return () => true;
  const endsInStar = pattern.endsWith("/*");
  if (!endsInStar && !pattern.includes("/:")) return (path) => path === pattern;
  const wanted = (endsInStar ? pattern.slice(0, -2) : pattern).split("/");
  return (path) => {
    const found = path.split("/");
    if (found.length < wanted.length || found[0] !== "" || found.length === 1) return false;
    if (!endsInStar && found.length > wanted.length) return false;
    return wanted.every((segment, at) =>
      segment.startsWith(":") ? found[at] !== "" : found[at] === segment,
    );
  };
}
