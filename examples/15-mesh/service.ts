/** `npx bun service.ts NAME PORT`: says who called, as its sidecar tells it. */
import { createServer } from "node:http";

const [name, port] = process.argv.slice(2);

createServer((request, response) => {
  const caller = request.headers["x-clearway-identity"] ?? "nobody";
  response.end(`${name}: ${request.method} ${request.url} from ${caller}\n`);
}).listen(Number(port), "127.0.0.1");
