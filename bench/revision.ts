/** Another revision of this repository, built beside it. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./machine.ts";

const buildMsMax = 300_000;

function git(...rest: string[]): string {
  return execFileSync("git", ["-C", repository, ...rest], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Its short name. Throws an Error when there is no such revision. */
export function commitOf(revision: string): string {
  try {
    return git("rev-parse", "--short=10", "--verify", "--quiet", `${revision}^{commit}`).trim();
  } catch {
    throw new Error(
      `cannot compare with "${revision}": wanted a commit, a tag or a branch of this repository`,
    );
  }
}

/** Builds the program of a commit in a worktree under the folder, and returns its path. */
export function buildRevision(commit: string, folder: string): string {
  const tree = join(folder, "tree");
  git("worktree", "add", "--detach", tree, commit);
  try {
    const modules = join(repository, "node_modules");
    const lock = "package-lock.json";
    const same = readFileSync(join(tree, lock)).equals(readFileSync(join(repository, lock)));
    if (same && existsSync(modules)) symlinkSync(modules, join(tree, "node_modules"));
    else execFileSync("npm", ["ci", "--silent"], { cwd: tree, stdio: "ignore", timeout: buildMsMax });
    return build(tree, join(folder, "clearway"));
  } finally {
    git("worktree", "remove", "--force", tree);
    rmSync(tree, { recursive: true, force: true });
  }
}

/** The program of this checkout, as it is. */
export function buildCheckout(folder: string): string {
  return build(repository, join(folder, "clearway-here"));
}

function build(tree: string, outfile: string): string {
  const command = [join(tree, "build", "binary.ts"), outfile];
  execFileSync(process.execPath, command, {
    cwd: tree,
    stdio: ["ignore", "ignore", "inherit"],
    timeout: buildMsMax,
  });
  if (!existsSync(outfile)) throw new Error(`the build of ${tree} made no ${outfile}`);
  return outfile;
}
