/** Where coordinators are, as people write it. */

/** Chosen when none is said: no other program is known to use it. */
export const coordinatorPort = 9800;
const urlsMax = 16;

/** `HOST:PORT` or `https://HOST:PORT`, several with commas between. Throws an Error that quotes what is wrong. */
export function readCoordinatorUrls(text: string): readonly string[] {
  const urls = text.split(",").map((part) => readUrl(part.trim()));
  if (urls.length > urlsMax) throw new Error(`${urls.length} coordinators: wanted at most ${urlsMax}`);
  return urls;
}

function readUrl(text: string): string {
  const whole = text.includes("://") ? text : `https://${text}`;
  const wanted = `wanted https://HOST:PORT, such as https://10.0.0.1:${coordinatorPort}`;
  const url = URL.canParse(whole) ? new URL(whole) : null;
  if (url === null || url.protocol !== "https:" || url.hostname === "" || url.pathname !== "/") {
    throw new Error(`cannot read ${JSON.stringify(text)} as a coordinator: ${wanted}`);
  }
  return url.origin;
}
