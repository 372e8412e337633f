import { generate } from "coap-packet";
import { describe, expect, it } from "vitest";
import { decode, encode, uint, uintOf } from "./message.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

const heading = { type: "con", code: "2.31", messageId: 0xfffe, token: Buffer.alloc(0) } as const;

describe("messages", () => {
  it("reads a request with token, options and payload", () => {
    const message = decode(hex("42 02 12 34 aa bb b3 61 62 63 ff 7b 7d"));
    expect(message).toMatchObject({ code: "0.02", messageId: 0x1234, confirmable: true });
    expect(message?.token).toEqual(hex("aabb"));
    expect(message?.options).toEqual([{ name: "Uri-Path", value: Buffer.from("abc") }]);
    expect(message?.payload.toString()).toBe("{}");
  });

  it.each([
    ["nothing", ""],
    ["three bytes", "40 01 00"],
    ["version 0", "00 01 00 01"],
    ["version 2", "80 01 00 01"],
    ["a token of 9 bytes", "49 01 00 01 01 02 03 04 05 06 07 08 09"],
    ["a cut token", "44 01 00 01 aa"],
    ["an empty message with a token", "41 00 00 01 aa"],
    ["an empty message with bytes behind", "40 00 00 01 ff 41"],
    ["a cut option", "40 01 00 01 b3 61"],
    ["a cut option length", "40 01 00 01 bd"],
    ["a cut option delta", "40 01 00 01 e0 01"],
    ["option delta 15", "40 01 00 01 f1 00"],
    ["option length 15", "40 01 00 01 1f 00"],
    ["a payload mark without payload", "40 01 00 01 ff"],
    ["an option number above 65535", "40 01 00 01 e0 ff ff"],
    ["code class 1", "40 21 00 01"],
    ["code class 7", "40 e1 00 01"],
  ])("takes %s for no message", (_what, text) => {
    expect(decode(hex(text))).toBeUndefined();
  });

  it("reads everything that the codec writes", () => {
    for (const length of [0, 1, 12, 13, 268, 269, 1_000]) {
      for (const number of [1, 12, 13, 269, 65_000]) {
        const value = Buffer.alloc(length, 1);
        const bytes = encode(heading, [{ name: String(number), value }]);
        expect(decode(bytes)?.options[0]?.value).toEqual(value);
      }
    }
  });

  it.each(["con", "non", "ack", "rst"] as const)("writes a bare %s as the codec writes it", (type) => {
    const bytes = encode({ ...heading, type, token: hex("aabbcc") }, []);
    const kind = { confirmable: type === "con", ack: type === "ack", reset: type === "rst" };
    expect(bytes).toEqual(generate({ ...kind, code: "2.31", messageId: 0xfffe, token: hex("aabbcc") }));
  });

  it("writes integers in the fewest bytes and reads them again", () => {
    for (const value of [0, 1, 255, 256, 65_535, 65_536, 0xff_ffff, 0x100_0000, 0xffff_ffff]) {
      expect(uintOf(uint(value), 4)).toBe(value);
    }
    expect(uint(0)).toHaveLength(0);
    expect(uint(256)).toHaveLength(2);
    expect(uintOf(hex("01020304"), 3)).toBeUndefined();
  });
});
