/** Names of files, with `/` between their parts. A relative one is relative to the file that names it. */

/** `conf.d` of `conf.d/a.yaml`; empty for a bare name. */
export function directoryOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === 0 ? "/" : path.slice(0, Math.max(0, slash));
}

/** The path as seen from where the directory is seen, without `.` and needless `..`. */
export function joinPath(directory: string, path: string): string {
  const whole = path.startsWith("/") || directory === "" ? path : `${directory}/${path}`;
  const kept: string[] = [];
  for (const part of whole.split("/")) {
    if (part === "" || part === ".") continue;
    const last = kept[kept.length - 1];
    if (part !== ".." || ((last === undefined || last === "..") && !whole.startsWith("/"))) kept.push(part);
    else kept.pop();
  }
  return (whole.startsWith("/") ? "/" : "") + kept.join("/") || ".";
}

/** The same path from inside a folder: `./plugins/a.ts`, `../a.ts`; an absolute one stays so where they share nothing. */
export function seenFrom(directory: string, path: string): string {
  const from = joinPath("", directory)
    .split("/")
    .filter((part) => part !== "." && part !== "");
  const to = path.split("/").filter((part) => part !== "");
  let shared = 0;
  while (shared < from.length && from[shared] === to[shared]) shared++;
  if (path.startsWith("/") && (shared === 0 || !directory.startsWith("/"))) return path;
  const up = from.slice(shared).map(() => "..");
  return [...(up.length === 0 ? ["."] : up), ...to.slice(shared)].join("/");
}
