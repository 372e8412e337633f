import { describe, expect, it } from "vitest";
import { levels, type Peer } from "../testing/peer.ts";
import { Room } from "../testing/room.ts";

const request = (chunk: number | string, id = "1") => `v2/fw/request/${id}/chunk/${chunk}`;

describe.each(levels)("packages, level %i", (level) => {
  const hear = async (peer: Peer) => {
    const { topic, payload, messageId, qos } = await peer.next("publish");
    if (qos > 0) peer.send({ cmd: "puback", messageId, reasonCode: 0 });
    return [topic, String(payload)];
  };
  const endsWith = async (peer: Peer, why: string) => {
    expect(await hear(peer)).toEqual(["v2/fw/error", why]);
    await peer.closed();
    expect(peer.packets.some(({ cmd }) => cmd === "puback")).toBe(false);
    if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x83);
  };

  it("MQTT-OTA-02, MQTT-OTA-04, MQTT-OTA-05: acknowledged, then the piece; the size is remembered; beyond the end nothing", async () => {
    await using room = await Room.open();
    room.packages.FIRMWARE = {};
    const peer = await room.connected(level);
    peer.publish(request("00", "007"), "4");
    await peer.until(({ packets }) => packets.length === 2, "two packets");
    expect(peer.packets.map(({ cmd }) => cmd)).toEqual(["puback", "publish"]);
    expect(await hear(peer)).toEqual(["v2/fw/response/007/chunk/0", "0123"]);
    for (const [chunk, text] of [
      [1, "4567"],
      [2, "89"],
      [3, ""],
    ] as const) {
      peer.publish(request(chunk, "007"), "");
      expect(await hear(peer)).toEqual([`v2/fw/response/007/chunk/${chunk}`, text]);
    }
    // ACT-12: fetching is no sign of life, nor is confirming what was fetched.
    expect(await peer.stays()).toBe(true);
    expect(room.platform.session("T").touched).toBe(1);
  });

  it("the whole in one piece, and software on its own topics; the pattern may stand anywhere", async () => {
    await using room = await Room.open();
    room.packages.FIRMWARE = {};
    room.packages.SOFTWARE = {};
    const peer = await room.connected(level);
    peer.publish(`x/${request(0)}`, "");
    expect(await hear(peer)).toEqual(["v2/fw/response/1/chunk/0", "0123456789"]);
    peer.publish("v2/sw/request/1/chunk/1", "5");
    expect(await hear(peer)).toEqual(["v2/sw/response/1/chunk/1", "56789"]);
  });

  it("MQTT-OTA-07, MQTT-OTA-08, MQTT-OTA-09: told why, then disconnected, unacknowledged", async () => {
    await using room = await Room.open();
    const ask = async (size: string) => {
      const peer = await room.connected(level);
      peer.publish(request(0), size);
      return peer;
    };
    await endsWith(await ask("4"), "NOT_FOUND");
    room.packages.FIRMWARE = { url: "http://x", hasData: false };
    await endsWith(await ask("4"), "FAILURE");
    room.packages.FIRMWARE = {};
    await endsWith(await ask("100000"), "PAYLOAD_TOO_LARGE");
    const odd = await ask(" 4 ");
    await odd.closed();
    if (level === 5) expect((await odd.next("disconnect")).reasonCode).toBe(0x8b);
  });

  it("a request keeps its package, and pieces come in the order in which they were asked for", async () => {
    await using room = await Room.open();
    room.packages.FIRMWARE = {};
    const peer = await room.connected(level);
    for (let chunk = 0; chunk < 10; chunk++) peer.publish(request(chunk), "1", { messageId: chunk + 1 });
    const texts: string[] = [];
    for (let chunk = 0; chunk < 10; chunk++) texts.push((await hear(peer))[1] as string);
    expect(texts.join("")).toBe("0123456789");
    room.packages.FIRMWARE = undefined;
    peer.publish(request(9), "1");
    expect((await hear(peer))[1]).toBe("9");
  });
});

it("a device that reads slowly gets all of a package that is larger than what may wait for it", async () => {
  // More than the sockets of both sides hold.
  const bytes = Buffer.alloc(32 << 20, "x");
  await using room = await Room.open({ unsent: 64 << 10 }, undefined, { package: bytes });
  room.packages.FIRMWARE = {};
  const peer = await room.connected(4);
  peer.socket.pause();
  peer.publish(request(0), "0", { messageId: 1 });
  peer.publish(request(1), "60000", { messageId: 2 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  // The second piece is not read before the device has taken the first.
  expect(room.packages.reads).toHaveLength(1);
  peer.socket.resume();
  expect((await peer.next("publish", 20_000)).payload.length).toBe(bytes.length);
  expect((await peer.next("publish")).payload.length).toBe(60_000);
  expect(room.rejected).not.toContain("slow");
});
