export { SeededRandom } from "../src/testing/seeded-random.ts";
