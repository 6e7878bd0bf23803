/** What a token of a mesh says of itself (JWT, RFC 7519): only its coordinator can verify it. */

interface Claims {
  readonly root?: unknown;
  readonly sub?: unknown;
  readonly uses?: unknown;
}

/** SHA-256 of the mesh's root certificate, base64url; null when it is no token of a mesh. */
export function rootFingerprint(token: string): string | null {
  return textOf(claimsOf(token).root);
}

/** The service whose nodes may join with it; null when it is no join token. */
export function joiningService(token: string): string | null {
  const { sub, uses } = claimsOf(token);
  // An operator's token names a person, and is not counted.
  return typeof uses === "number" ? textOf(sub) : null;
}

function claimsOf(token: string): Claims {
  const [, payload = ""] = token.split(".");
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString());
    return typeof claims === "object" && claims !== null ? claims : {};
  } catch {
    return {};
  }
}

function textOf(claim: unknown): string | null {
  return typeof claim === "string" && claim !== "" ? claim : null;
}
