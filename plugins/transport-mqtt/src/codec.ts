import mqttPacket, { type IConnectPacket, type Packet, type Parser } from "mqtt-packet";

// Its table of all 65,536 numbers takes 9 MB, for the few packets that it writes here.
mqttPacket.writeToStream.cacheNumbers = false;

/** 3 is MQTT 3.1, 4 is 3.1.1. */
export type Version = 3 | 4 | 5;

/**
 * A parser that gets whole packets only, so that all connections of a version share one. After an error it is replaced:
 * its state is of no use.
 */
class WholePackets {
  readonly #version: Version | undefined;
  #parser: Parser;
  #packet: Packet | undefined;
  #broken = false;

  constructor(version?: Version) {
    this.#version = version;
    this.#parser = this.#make();
  }

  /** Undefined when the bytes are no packet. */
  read(frame: Buffer): Packet | undefined {
    this.#packet = undefined;
    try {
      if (this.#parser.parse(frame) !== 0) this.#broken = true;
    } catch {
      this.#broken = true;
    }
    const packet = this.#packet;
    this.#packet = undefined;
    if (!this.#broken) return packet;
    this.#broken = false;
    this.#parser = this.#make();
    return undefined;
  }

  #make(): Parser {
    const parser = mqttPacket.parser(this.#version === undefined ? {} : { protocolVersion: this.#version });
    parser.on("packet", (packet: Packet) => {
      this.#packet = packet;
    });
    parser.on("error", () => {
      this.#broken = true;
    });
    return parser;
  }
}

const parsers = { 3: new WholePackets(3), 4: new WholePackets(4), 5: new WholePackets(5) };

export function readPacket(version: Version, frame: Buffer): Packet | undefined {
  return parsers[version].read(frame);
}

/** A parser takes over the version of the CONNECT it reads and keeps the packet: each gets its own. */
export function readConnect(frame: Buffer): IConnectPacket | undefined {
  const packet = new WholePackets().read(frame);
  return packet?.cmd === "connect" ? packet : undefined;
}

export interface Welcome {
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
}

/** `code` is a return code before version 5, a reason code there. */
export function connack(version: Version, code: number, sessionPresent: boolean, welcome?: Welcome): Buffer {
  return mqttPacket.generate(
    version === 5
      ? { cmd: "connack", reasonCode: code, sessionPresent, ...(welcome === undefined ? {} : { properties: welcome }) }
      : { cmd: "connack", returnCode: code, sessionPresent },
    { protocolVersion: version },
  );
}

export function suback(version: Version, messageId: number, granted: number[]): Buffer {
  return mqttPacket.generate({ cmd: "suback", messageId, granted }, { protocolVersion: version });
}

export function unsuback(version: Version, messageId: number, granted: number[]): Buffer {
  return mqttPacket.generate({ cmd: "unsuback", messageId, granted }, { protocolVersion: version });
}

export const pingresp = Buffer.from([0xd0, 0x00]);

/** Version 5 only. */
export function disconnect(reasonCode: number): Buffer {
  return Buffer.from([0xe0, 0x02, reasonCode, 0x00]);
}

export function pubcomp(version: Version, packetId: number, reasonCode: number): Buffer {
  const bytes = [0x70, 2, packetId >> 8, packetId & 0xff];
  if (version !== 5 || reasonCode === 0) return Buffer.from(bytes);
  bytes[1] = 3;
  return Buffer.from([...bytes, reasonCode]);
}

/** A publish of ours: never retained, never a duplicate. */
export function publish(
  version: Version,
  { qos, packetId }: { readonly qos: 0 | 1; readonly packetId: number },
  { topic, payload }: { readonly topic: string; readonly payload: Uint8Array },
): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const length = 2 + topicBytes + (qos === 0 ? 0 : 2) + (version === 5 ? 1 : 0) + payload.length;
  const header: number[] = [0x30 | (qos << 1)];
  for (let left = length; ; left >>= 7) {
    if (left < 0x80) {
      header.push(left);
      break;
    }
    header.push((left & 0x7f) | 0x80);
  }
  const bytes = Buffer.allocUnsafe(header.length + length);
  bytes.set(header);
  let at = bytes.writeUInt16BE(topicBytes, header.length);
  at += bytes.write(topic, at);
  if (qos !== 0) at = bytes.writeUInt16BE(packetId, at);
  if (version === 5) at = bytes.writeUInt8(0, at);
  bytes.set(payload, at);
  return bytes;
}
