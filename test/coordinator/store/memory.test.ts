import { MemoryStore } from "../../../src/coordinator/store/memory.ts";
import { testStore } from "./contract.ts";

testStore("memory", { make: async (kept) => new MemoryStore(kept), reopen: null });
