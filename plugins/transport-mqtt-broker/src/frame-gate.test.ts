import { Duplex } from "node:stream";
import { generate } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { FrameGate } from "./frame-gate.ts";

class Wire extends Duplex {
  readonly written: Buffer[] = [];
  override _read(): void {}
  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.written.push(chunk);
    done();
  }
}

function gateOver(head: Buffer, maxPacket = 1_000) {
  const wire = new Wire();
  const tooLarge: number[] = [];
  const gate = new FrameGate({ socket: wire, head, maxPacket, onTooLarge: (bytes) => tooLarge.push(bytes) });
  const passed: Buffer[] = [];
  gate.on("data", (chunk: Buffer) => passed.push(chunk));
  const closed = new Promise<void>((resolve) => gate.once("close", resolve));
  return { wire, gate, tooLarge, closed, bytes: () => Buffer.concat(passed) };
}
const tick = () => new Promise((resolve) => setImmediate(resolve));
const publish = (bytes: number) =>
  generate({ cmd: "publish", topic: "t", payload: Buffer.alloc(bytes), qos: 0, retain: false, dup: false });

describe("a gate in front of the engine", () => {
  it("lets whole packets pass, in whatever pieces they come", async () => {
    const packets = Buffer.concat([publish(0), publish(300), publish(900), generate({ cmd: "pingreq" })]);
    for (const step of [1, 2, 7, 1_000]) {
      const { wire, bytes, tooLarge } = gateOver(packets.subarray(0, 3));
      for (let at = 3; at < packets.length; at += step) wire.push(packets.subarray(at, at + step));
      await tick();
      await tick();
      expect(bytes().equals(packets)).toBe(true);
      expect(tooLarge).toEqual([]);
    }
  });

  it.each([
    ["a packet that is too large", publish(1_200), 1],
    ["a length of four gigabytes", Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]), 1],
    ["a length that is none", Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 0x01]), 0],
  ])("closes at %s", async (_, bad, counted) => {
    const { wire, closed, tooLarge } = gateOver(publish(10));
    for (const byte of bad.subarray(0, 8)) wire.push(Buffer.from([byte]));
    await closed;
    expect(wire.destroyed).toBe(true);
    expect(tooLarge).toHaveLength(counted);
  });

  it("writes through and ends with the socket", async () => {
    const { wire, gate, closed } = gateOver(Buffer.alloc(0));
    gate.write("a");
    gate.write("b");
    await tick();
    expect(Buffer.concat(wire.written).toString()).toBe("ab");
    wire.destroy();
    await closed;
  });
});
