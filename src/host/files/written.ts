import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** False when there is something of this name already, which stays as it is. Folders on the way are made. */
export async function writeNew(path: string, text: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return false;
    throw error;
  }
}

/** Makes the folder hold these texts, by path, and nothing else. */
export async function replaceFolder(folder: string, texts: Readonly<Record<string, string>>): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  for (const path of new Set(Object.keys(texts).map((name) => dirname(join(folder, name))))) {
    await mkdir(path, { recursive: true });
  }
  await Promise.all(Object.entries(texts).map(([name, text]) => writeFile(join(folder, name), text)));
}
