import { describe, expect, it } from "vitest";
import { Peer } from "../testing/peer.ts";
import { Room } from "../testing/room.ts";
import { readProxyHeader } from "./proxy-protocol.ts";

const v2 = (family: number, rest: string, command = 0x21) =>
  Buffer.concat([
    Buffer.from("0d0a0d0a000d0a515549540a", "hex"),
    Buffer.from([command, family, 0, rest.length / 2]),
    Buffer.from(rest, "hex"),
  ]);

describe("PROXY protocol", () => {
  it.each([
    ["PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", { kind: "whole", bytes: 32, address: "1.2.3.4" }],
    ["PROXY UNKNOWN\r\n", { kind: "whole", bytes: 15, address: undefined }],
    ["PROXY TCP4 1.2", { kind: "partial" }],
    ["PRO", { kind: "partial" }],
    ["GET / HTTP", { kind: "bad" }],
    ["PROXY UNIX x\r\n", { kind: "bad" }],
    [`PROXY TCP4 ${"1".repeat(120)}`, { kind: "bad" }],
  ])("reads %j", (text, header) => expect(readProxyHeader(Buffer.from(text))).toEqual(header));

  it("reads version 2", () => {
    expect(readProxyHeader(v2(0x11, "0102030405060708000100020000"))).toEqual({
      kind: "whole",
      bytes: 30,
      address: "1.2.3.4",
    });
    const six = "20010db8000000000000000000000001".padEnd(72, "0");
    expect(readProxyHeader(v2(0x21, six))).toMatchObject({ address: "2001:db8:0:0:0:0:0:1" });
    expect(readProxyHeader(v2(0x11, "", 0x20))).toMatchObject({ kind: "whole", address: undefined });
    expect(readProxyHeader(v2(0x11, "01020304", 0x31))).toEqual({ kind: "bad" });
    expect(readProxyHeader(v2(0x11, "010203").subarray(0, 14))).toEqual({ kind: "partial" });
  });

  it("LIM-04 the address behind the balancer is the one that is blocked; others are served", async () => {
    await using room = await Room.open({}, undefined, { proxied: true });
    room.platform.isBlocked = (address) => address === "1.2.3.4";
    const connecting = async (header: string) => {
      const peer = new Peer(room.port, 4);
      peer.socket.write(header);
      peer.connect({ username: "T" });
      return peer;
    };
    const blocked = await connecting("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n");
    await blocked.closed();
    expect(blocked.bytes).toEqual([]);
    const other = await connecting("PROXY TCP4 1.2.3.5 5.6.7.8 1 2\r\n");
    await other.next("connack");
    expect(await other.stays()).toBe(true);
    other.destroy();
    const none = new Peer(room.port, 4);
    none.connect({ username: "T" });
    await none.closed();
  });
});

it("LIM-04 a blocked address is closed at once", async () => {
  await using room = await Room.open();
  room.platform.isBlocked = () => true;
  const peer = room.peer(4);
  peer.connect({ username: "T" });
  await peer.closed();
  expect(peer.bytes).toEqual([]);
});
