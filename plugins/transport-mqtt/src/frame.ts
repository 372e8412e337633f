/** Packet types (MQTT 2.1.2), the high four bits of the first byte. */
export const packetType = {
  connect: 1,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  unsubscribe: 10,
  pingreq: 12,
  disconnect: 14,
  auth: 15,
} as const;

/** Where one packet lies in a buffer. Reused from packet to packet: reading a header allocates nothing. */
export interface Frame {
  start: number;
  /** The first byte: type and flags. */
  first: number;
  /** Start of the body, behind the fixed header. */
  body: number;
  /** Behind the packet. */
  end: number;
}

export type FrameRead = "whole" | "partial" | "malformed" | "tooLarge";

/** Reads the fixed header at `frame.start`; the size is judged before the body is there. */
export function readFrame(bytes: Uint8Array, frame: Frame, limit: number): FrameRead {
  const { start } = frame;
  let length = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[start + 1 + i];
    if (byte === undefined) return "partial";
    length |= (byte & 0x7f) << (7 * i);
    if (length > limit) return "tooLarge";
    if (byte < 0x80) {
      frame.first = bytes[start]!;
      frame.body = start + 2 + i;
      frame.end = frame.body + length;
      return frame.end <= bytes.length ? "whole" : "partial";
    }
  }
  return "malformed";
}

/** The variable header of a PUBLISH; reused like `Frame`. */
export interface PublishHead {
  /** Set by the caller: version 5 has properties. */
  v5: boolean;
  qos: number;
  packetId: number;
  topic: number;
  topicEnd: number;
  payload: number;
  /** Version 5: it carries properties, which the codec has to read. */
  properties: boolean;
}

/** False when the packet is malformed. */
export function readPublish(bytes: Uint8Array, { first, body, end }: Frame, into: PublishHead): boolean {
  into.qos = (first >> 1) & 3;
  if (into.qos === 3 || body + 2 > end) return false;
  into.topic = body + 2;
  let at = into.topic + bytes[body]! * 256 + bytes[body + 1]!;
  into.topicEnd = at;
  into.packetId = 0;
  if (into.qos > 0) {
    if (at + 2 > end) return false;
    into.packetId = bytes[at]! * 256 + bytes[at + 1]!;
    if (into.packetId === 0) return false;
    at += 2;
  }
  into.properties = false;
  if (into.v5) {
    if (at >= end) return false;
    into.properties = bytes[at]! !== 0;
    at++;
  }
  into.payload = at;
  return at <= end;
}
