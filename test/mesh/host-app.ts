/** A program: `host-app NAME PORT` answers its name, and the identity of who calls. */
import { createServer } from "node:http";

const [name, port] = process.argv.slice(2);
const server = createServer((request, response) => {
  response.end(`${name} ${request.headers["x-clearway-identity"] ?? "nobody"}`);
});
server.keepAliveTimeout = 120_000;
server.listen(Number(port), "127.0.0.1");
