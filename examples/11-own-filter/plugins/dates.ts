/** `@1767225600`, as structured fields write a date (RFC 9651, section 3.3.7). */
export function atSeconds(date: string): string {
  return `@${Date.parse(date) / 1000}`;
}

/** `Thu, 01 Jan 2026 00:00:00 GMT` (RFC 9110, section 5.6.7). */
export function httpDate(date: string): string {
  return new Date(date).toUTCString();
}
