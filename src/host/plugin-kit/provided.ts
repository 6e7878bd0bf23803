/** From now on these names stand for these modules in whatever this process loads. */
export function provideModules(modules: ReadonlyMap<string, object>): void {
  Bun.plugin({
    name: "clearway",
    setup(build) {
      for (const [name, exports] of modules)
        build.module(name, () => ({ loader: "object", exports: { ...exports } }));
    },
  });
}
