/** Loaded before every test file (bunfig.toml): how long one test may take, on a machine that is busy with others. */
import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(120_000);
