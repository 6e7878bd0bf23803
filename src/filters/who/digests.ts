const encoder = new TextEncoder();

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

export async function sha256Hex(text: string): Promise<string> {
  return Buffer.from(await sha256(encoder.encode(text))).toString("hex");
}

/** RFC 8018, section 5.2, with HMAC-SHA-256; 32 bytes. */
export async function pbkdf2(
  password: string,
  { salt, iterations }: { readonly salt: Uint8Array<ArrayBuffer>; readonly iterations: number },
): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("raw", encoder.encode(password), "PBKDF2", false, ["deriveBits"]);
  const rules = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(rules, key, 256));
}

/** Takes as long wherever the first difference is; only the lengths may be learnt. */
export function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  let difference = one.length ^ other.length;
  for (let i = 0; i < one.length; i++) difference |= one[i]! ^ other[i % other.length]!;
  return difference === 0;
}
