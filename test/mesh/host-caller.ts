/** A program: `host-caller URL` calls it again and again, and prints each time what all calls came to, as JSON. */
import { startCalls } from "./calls.ts";

const [url = ""] = process.argv.slice(2);
const calls = startCalls(url, 4);
setInterval(() => console.log(JSON.stringify(Object.fromEntries(calls.outcomes))), 100);
