/** `npx bun storefront.ts PORT`: calls two services, by the proxy that `clearway exec` put into its environment. */
import { createServer } from "node:http";

const [port] = process.argv.slice(2);

createServer(async (_, response) => {
  const account = await fetch("http://accounts.mesh/users/7");
  const payment = await fetch("http://payments.mesh/charge", { method: "POST" });
  response.end((await account.text()) + (await payment.text()));
}).listen(Number(port), "127.0.0.1");
