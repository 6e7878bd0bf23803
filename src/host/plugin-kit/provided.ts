/** From now on these names stand for these modules in whatever this process loads. */
export function provideModules(modules: ReadonlyMap<string, object>): void {
  Bun.plugin({
    name: "clearway",
    setup(build) {
      for (const [name, exports] of modules) {
        build.module(name, () => ({ loader: "object", exports: { ...exports } }));
      }
    },
  });
  // A test that starts the program means the program, and not Bun.
  delete process.env.BUN_BE_BUN;
}
