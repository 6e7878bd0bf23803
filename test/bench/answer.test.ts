import { expect, test } from "bun:test";
import { AnswerReader, WrongAnswer } from "../../bench/answer.ts";

const wanted = { status: 200, body: Buffer.from("hello") };
const withLength = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const chunked =
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nx: y\r\n\r\n";

function kindOf(text: string): string {
  try {
    return new AnswerReader(wanted).take(Buffer.from(text)) ? "whole" : "more";
  } catch (error) {
    return (error as WrongAnswer).kind;
  }
}

test("reader takes the wanted answer, whole and split at every byte, one after the other", () => {
  for (const text of [withLength, chunked]) {
    const reader = new AnswerReader(wanted);
    for (let at = 1; at < text.length; at++) {
      expect(reader.take(Buffer.from(text.slice(0, at)))).toBe(false);
      expect(reader.take(Buffer.from(text.slice(at)))).toBe(true);
    }
    expect(reader.take(Buffer.from(text))).toBe(true);
  }
});

test("reader refuses another status", () => {
  expect(kindOf("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nhello")).toBe("status");
});

test("reader refuses another body: changed, too short, too long", () => {
  expect(kindOf(withLength.replace("hello", "hallo"))).toBe("body");
  expect(kindOf("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhell")).toBe("body");
  expect(kindOf("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello!")).toBe("body");
  expect(kindOf("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).toBe("body");
});

test("reader refuses an answer whose end nothing tells", () => {
  expect(kindOf("HTTP/1.1 200 OK\r\n\r\nhello")).toBe("framing");
  expect(kindOf(chunked.replace("3;a=b", "zz"))).toBe("framing");
});

test("reader refuses bytes after the answer", () => {
  expect(kindOf(`${withLength}H`)).toBe("framing");
});

test("reader refuses an endless head", () => {
  const reader = new AnswerReader(wanted);
  reader.take(Buffer.from("HTTP/1.1 200 OK\r\nx: "));
  expect(() => reader.take(Buffer.alloc(70_000, "x"))).toThrow(WrongAnswer);
});
