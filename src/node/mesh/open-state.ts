import type { OpenPrivateFolder, PrivateFolder } from "../../machine.ts";

const reasons: Readonly<Record<string, string>> = {
  EACCES: "this program may not write there",
  EROFS: "its disk is read only",
  ENOTDIR: "there is a file of that name",
  EEXIST: "there is a file of that name",
  ENOSPC: "its disk is full",
};

/** Throws an Error that says with what another one is chosen. */
export async function openState(
  open: OpenPrivateFolder,
  path: string,
  chosenBy: "--state" | "mesh.state",
): Promise<PrivateFolder> {
  let folder: PrivateFolder | null;
  try {
    folder = await open(path);
  } catch (error) {
    const { code = "", message } = error as Error & { readonly code?: string };
    throw new Error(
      `cannot use the state folder ${path}: ${reasons[code] ?? message}; choose another with ${chosenBy}`,
    );
  }
  if (folder !== null) return folder;
  throw new Error(
    `another node uses the state folder ${path}: give this one a folder of its own with ${chosenBy}`,
  );
}
