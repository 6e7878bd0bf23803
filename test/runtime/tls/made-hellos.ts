/** ClientHellos put together by hand (RFC 8446 section 4.1.2, RFC 6066 section 3). */
export interface ExtensionPart {
  readonly type: number;
  readonly data: Buffer;
}

/** One record with one hello, with these extensions and nothing that a handshake could use. */
export function hello(extensions: readonly ExtensionPart[]): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    sized(1, Buffer.alloc(0)),
    sized(2, Buffer.from([0x13, 0x01])),
    sized(1, Buffer.from([0])),
    sized(
      2,
      Buffer.concat(extensions.map(({ type, data }) => Buffer.concat([number(2, type), sized(2, data)]))),
    ),
  ]);
  return inRecords(Buffer.concat([Buffer.from([1]), sized(3, body)]), 16_384);
}

export function nameExtension(name: string | Buffer): ExtensionPart {
  return { type: 0, data: nameList([{ type: 0, name }]) };
}

export function nameList(
  names: readonly { readonly type: number; readonly name: string | Buffer }[],
): Buffer {
  const entries = names.map(({ type, name }) =>
    Buffer.concat([number(1, type), sized(2, typeof name === "string" ? Buffer.from(name, "latin1") : name)]),
  );
  return sized(2, Buffer.concat(entries));
}

/** A handshake message in records that carry at most so much. */
export function inRecords(message: Buffer, recordBytes: number): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += recordBytes) {
    records.push(Buffer.from([22, 3, 1]), sized(2, message.subarray(at, at + recordBytes)));
  }
  return Buffer.concat(records);
}

function number(bytes: 1 | 2 | 3, value: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}

/** With its length in front, which takes so many bytes. */
function sized(lengthBytes: 1 | 2 | 3, data: Buffer): Buffer {
  return Buffer.concat([number(lengthBytes, data.length), data]);
}
