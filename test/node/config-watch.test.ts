import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/host/clock/node.ts";
import { systemFiles } from "../../src/host/files/node.ts";
import type { Files } from "../../src/machine.ts";
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

/** One file, and a system that tells what a test says. */
class ToldFiles {
  reads = 0;
  text = "first";
  /** What a reading waits for. */
  ready: Promise<void> = Promise.resolve();
  readonly clock = new VirtualClock();
  readonly files: Files = {
    ...systemFiles,
    read: async () => {
      this.reads += 1;
      const { text } = this;
      await this.ready;
      return text;
    },
    realPath: async (path) => path,
    watch: (_folder, changed) => {
      this.happened = changed;
      return () => {};
    },
  };
  happened: (written: string | null) => void = () => {};
  told = 0;

  static async followed(): Promise<ToldFiles> {
    const one = new ToldFiles();
    watch = watchConfig(one.files, one.clock, () => {
      one.told += 1;
    });
    await one.follow("first");
    await one.pass(100);
    // What may have happened before it was watched.
    expect(one.reads).toBe(1);
    return one;
  }

  async follow(text: string): Promise<void> {
    await watch!.follow({
      files: new Map([["/a/clearway.yaml", `=${JSON.stringify(text)}`]]),
      folders: new Map(),
    });
  }

  async pass(timeMs: number): Promise<void> {
    this.clock.advance(timeMs);
    await Bun.sleep(0);
  }
}

test("watchConfig waits for the end of a burst of events, and not for ever", async () => {
  const one = await ToldFiles.followed();
  for (let index = 0; index < 19; index += 1) {
    one.happened(null);
    one.clock.advance(50);
  }
  expect(one.reads).toBe(1);
  one.happened(null);
  await one.pass(50);
  expect(one.reads).toBe(2);
});

test("watchConfig neither waits for nor reads again because of a log that is written beside the config", async () => {
  const one = await ToldFiles.followed();
  one.happened("access.log");
  await one.pass(1000);
  expect(one.reads).toBe(1);
  one.text = "second";
  one.happened("clearway.yaml");
  one.clock.advance(90);
  one.happened("access.log");
  await one.pass(10);
  expect({ reads: one.reads, told: one.told }).toEqual({ reads: 2, told: 1 });
});

test("watchConfig reads nothing again when what is followed is what it told of", async () => {
  const one = await ToldFiles.followed();
  one.text = "second";
  one.happened(null);
  await one.pass(100);
  expect({ reads: one.reads, told: one.told }).toEqual({ reads: 2, told: 1 });
  await one.follow("second");
  await one.pass(1000);
  expect({ reads: one.reads, told: one.told }).toEqual({ reads: 2, told: 1 });
});

test("watchConfig tells again when what is followed was read between two saves", async () => {
  const one = await ToldFiles.followed();
  one.text = "second";
  one.happened(null);
  await one.pass(100);
  // Read after another save, before one that brought back what was told.
  await one.follow("third");
  await one.pass(100);
  expect({ reads: one.reads, told: one.told }).toEqual({ reads: 3, told: 2 });
});

test("watchConfig loses no save that it reads while what it told of begins to be followed", async () => {
  const one = await ToldFiles.followed();
  one.text = "second";
  one.happened(null);
  await one.pass(100);
  const slow = Promise.withResolvers<void>();
  one.ready = slow.promise;
  one.text = "third";
  one.happened(null);
  await one.pass(100);
  await one.follow("second");
  slow.resolve();
  await Bun.sleep(0);
  await one.pass(100);
  expect({ reads: one.reads, told: one.told }).toEqual({ reads: 4, told: 2 });
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
