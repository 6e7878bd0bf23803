import { MemoryStore } from "../../../src/coordinator/store/memory.ts";
import { testStore } from "./contract.ts";

testStore("memory", { make: async () => new MemoryStore(), reopen: null });
