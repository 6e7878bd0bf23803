import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/host/clock/node.ts";
import { systemFiles } from "../../src/host/files/node.ts";
import { type ConfigWatch, watchConfig } from "../../src/node/config-watch.ts";
import { type Reading, readAgain, recordReads, sameContents, sameReading } from "../../src/node/readings.ts";
import { VirtualClock } from "../virtual-clock.ts";

let watch: ConfigWatch | null = null;
afterEach(() => watch?.close());

function folder(): string {
  return mkdtempSync(join(tmpdir(), "clearway-watch-"));
}

async function readingOf(...paths: string[]) {
  const { files, reading } = recordReads(systemFiles);
  await Promise.allSettled(paths.map((path) => files.read(path)));
  return reading;
}

/** Watches the file, makes each change, and waits until it was told; a change that is not told times the test out. */
async function tellsOf(path: string, changes: readonly (() => void)[]): Promise<void> {
  let told = Promise.withResolvers<void>();
  watch = watchConfig(systemFiles, systemClock, () => told.resolve());
  for (const change of changes) {
    await watch.follow(await readingOf(path));
    told = Promise.withResolvers<void>();
    change();
    await told.promise;
  }
}

test("watchConfig tells of a save in place, again and again", async () => {
  const path = join(folder(), "clearway.yaml");
  writeFileSync(path, "0");
  await tellsOf(
    path,
    [1, 2, 3].map((text) => () => writeFileSync(path, String(text))),
  );
});

test("watchConfig tells of an editor's atomic rename, again and again", async () => {
  const path = join(folder(), "clearway.yaml");
  writeFileSync(path, "0");
  const save = (text: string) => () => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  await tellsOf(path, [save("1"), save("2"), () => writeFileSync(path, "3"), save("4")]);
});

test("watchConfig tells of delete and create", async () => {
  const path = join(folder(), "clearway.yaml");
  writeFileSync(path, "0");
  const save = (text: string) => () => {
    unlinkSync(path);
    writeFileSync(path, text);
  };
  await tellsOf(path, [save("1"), save("2"), () => unlinkSync(path), () => writeFileSync(path, "3")]);
});

test("watchConfig tells of the swap of a Kubernetes ..data link, again and again", async () => {
  const mount = folder();
  const path = join(mount, "clearway.yaml");
  const swap = (name: string) => () => {
    mkdirSync(join(mount, name));
    writeFileSync(join(mount, name, "clearway.yaml"), name);
    symlinkSync(name, join(mount, "..data_tmp"));
    renameSync(join(mount, "..data_tmp"), join(mount, "..data"));
  };
  swap("..2026_1")();
  symlinkSync("..data/clearway.yaml", path);
  await tellsOf(path, [swap("..2026_2"), swap("..2026_3")]);
});

test("watchConfig tells of a save behind a link to another folder", async () => {
  const real = join(folder(), "real.yaml");
  const path = join(folder(), "clearway.yaml");
  writeFileSync(real, "0");
  symlinkSync(real, path);
  await tellsOf(path, [() => writeFileSync(real, "1"), () => writeFileSync(real, "2")]);
});

test("watchConfig tells of a change that happened before it began to watch", async () => {
  const path = join(folder(), "clearway.yaml");
  writeFileSync(path, "0");
  const reading = await readingOf(path);
  writeFileSync(path, "1");
  const told = Promise.withResolvers<void>();
  watch = watchConfig(systemFiles, systemClock, () => told.resolve());
  await watch.follow(reading);
  await told.promise;
});

test("watchConfig polls where the system tells nothing", async () => {
  const path = join(folder(), "clearway.yaml");
  writeFileSync(path, "0");
  const clock = new VirtualClock();
  const deaf = { ...systemFiles, watch: () => () => {} };
  const told = Promise.withResolvers<void>();
  watch = watchConfig(deaf, clock, () => told.resolve());
  await watch.follow(await readingOf(path));
  writeFileSync(path, "1");
  clock.advance(5000);
  await told.promise;
});

test("watchConfig waits for the end of a burst of events, and not for ever", async () => {
  const clock = new VirtualClock();
  let event = () => {};
  let reads = 0;
  const files = {
    ...systemFiles,
    read: async () => {
      reads += 1;
      return "same";
    },
    realPath: async (path: string) => path,
    watch: (_folder: string, changed: () => void) => {
      event = changed;
      return () => {};
    },
  };
  watch = watchConfig(files, clock, () => {});
  await watch.follow({ files: new Map([["/a/clearway.yaml", '="same"']]), folders: new Map() });
  clock.advance(100);
  await Bun.sleep(0);
  expect(reads).toBe(1);
  for (let index = 0; index < 19; index += 1) {
    event();
    clock.advance(50);
  }
  expect(reads).toBe(1);
  event();
  clock.advance(50);
  await Bun.sleep(0);
  expect(reads).toBe(2);
});

const hasChanged = async (reading: Reading) => !sameReading(reading, await readAgain(systemFiles, reading));

test("readAgain sees contents, new names in a folder, and files that come and go", async () => {
  const place = folder();
  const main = join(place, "clearway.yaml");
  const missing = join(place, "missing.yaml");
  const parts = join(place, "conf.d");
  mkdirSync(parts);
  writeFileSync(main, "0");
  const read = async () => {
    const { files, reading } = recordReads(systemFiles);
    await Promise.allSettled([files.read(main), files.read(missing), files.list(parts)]);
    return reading;
  };
  const first = await read();
  expect(await hasChanged(first)).toBe(false);
  writeFileSync(main, "1");
  expect(await hasChanged(first)).toBe(true);
  writeFileSync(main, "0");
  expect(await hasChanged(first)).toBe(false);
  writeFileSync(join(parts, "a.yaml"), "");
  expect(await hasChanged(first)).toBe(true);
  expect(sameContents(first, await read())).toBe(true);
  rmSync(parts, { recursive: true });
  mkdirSync(parts);
  writeFileSync(missing, "");
  expect(await hasChanged(first)).toBe(true);
});

test("watchConfig tells of a change once, however long it takes to be followed, and of the next one", async () => {
  const path = join(folder(), "clearway.yaml");
  writeFileSync(path, "0");
  const clock = new VirtualClock();
  let told = 0;
  watch = watchConfig(systemFiles, clock, () => {
    told += 1;
  });
  await watch.follow(await readingOf(path));
  const polls = async (count: number) => {
    for (let poll = 0; poll < count; poll++) {
      clock.advance(5000);
      await Bun.sleep(20);
    }
  };
  writeFileSync(path, "1");
  await polls(4);
  expect(told).toBe(1);
  writeFileSync(path, "2");
  await polls(4);
  expect(told).toBe(2);
  await watch.follow(await readingOf(path));
  await polls(4);
  expect(told).toBe(2);
  writeFileSync(path, "1");
  await polls(4);
  expect(told).toBe(3);
});
