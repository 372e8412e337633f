import { crc32 } from "node:zlib";
import type { InRecord } from "@heddle/plugin-sdk";

/*
 * A segment is a sequence of entries and nothing else. Layout of an entry's head, little-endian:
 *
 *   0 u32 magic, with the format's version     20 u8  kind
 *   4 u32 payload bytes                         24 u16 topic
 *   8 u32 crc32 of everything from 12 on        26 u16 partition
 *  12 u32 salt of the segment                   28 u32 count
 *  16 u32 synced: bytes of this segment that    32 f64 first position
 *         were durable when this was written    40 f64 sent at, ms
 *
 * `synced` tells a torn tail from damage: what a later entry calls durable must be whole. The salt keeps a record's body
 * from passing for an entry.
 */
export const entryHeadBytes = 48;
const magic = 0x31_51_44_48;
const magicBytes = Buffer.from([0x48, 0x44, 0x51, 0x31]);

export const kinds = { catalog: 1, heads: 2, positions: 3, run: 4 } as const;

export interface EntryHead {
  readonly kind: number;
  readonly topic: number;
  readonly partition: number;
  readonly count: number;
  /** Position of a run's first record. */
  readonly first: number;
  /** Of a run's first record; the others say how much later. */
  readonly sentAt: number;
}

/** What the entries of one write have in common. */
export interface Stamp {
  readonly salt: number;
  readonly synced: number;
}

export const noHead: EntryHead = { kind: 0, topic: 0, partition: 0, count: 0, first: 0, sentAt: 0 };

/** Writes the head of the entry at `at` whose payload ends at `end`. */
export function sealEntry(into: Buffer, at: number, end: number, head: EntryHead & Stamp): void {
  into.writeUInt32LE(magic, at);
  into.writeUInt32LE(end - at - entryHeadBytes, at + 4);
  into.writeUInt32LE(head.salt, at + 12);
  into.writeUInt32LE(head.synced, at + 16);
  into.writeUInt32LE(head.kind, at + 20);
  into.writeUInt16LE(head.topic, at + 24);
  into.writeUInt16LE(head.partition, at + 26);
  into.writeUInt32LE(head.count, at + 28);
  into.writeDoubleLE(head.first, at + 32);
  into.writeDoubleLE(head.sentAt, at + 40);
  into.writeUInt32LE(crc32(into.subarray(at + 12, end)), at + 8);
}

export interface Entry extends EntryHead, Stamp {
  /** Offset of the payload, and of what follows the entry. */
  readonly payload: number;
  readonly end: number;
}

/** The entry at `at`, or undefined when there is no whole one. */
export function entryAt(buffer: Buffer, at: number): Entry | undefined {
  if (at + entryHeadBytes > buffer.length || buffer.readUInt32LE(at) !== magic) return undefined;
  const end = at + entryHeadBytes + buffer.readUInt32LE(at + 4);
  if (end > buffer.length || crc32(buffer.subarray(at + 12, end)) !== buffer.readUInt32LE(at + 8)) return undefined;
  return {
    kind: buffer[at + 20] ?? 0,
    salt: buffer.readUInt32LE(at + 12),
    synced: buffer.readUInt32LE(at + 16),
    topic: buffer.readUInt16LE(at + 24),
    partition: buffer.readUInt16LE(at + 26),
    count: buffer.readUInt32LE(at + 28),
    first: buffer.readDoubleLE(at + 32),
    sentAt: buffer.readDoubleLE(at + 40),
    payload: at + entryHeadBytes,
    end,
  };
}

/** Whether an entry after the broken one at `at` knows that `at` had been durable. */
export function wasDurable(buffer: Buffer, at: number, salt: number | undefined): boolean {
  for (let from = at + 1; ; from += 1) {
    from = buffer.indexOf(magicBytes, from);
    if (from < 0) return false;
    const entry = entryAt(buffer, from);
    if (entry !== undefined && entry.synced > at && (salt === undefined || entry.salt === salt)) return true;
  }
}

/** Bytes of a record in a run apart from key, headers and body: their lengths and how long after the first it was sent. */
export const recordHeadBytes = 16;

export function encodeHeaders(headers: Readonly<Record<string, string>> | undefined): string {
  if (headers === undefined) return "";
  for (const _ in headers) return JSON.stringify(headers);
  return "";
}

/** The records of a run's payload; bodies are views of `buffer`. */
export function decodeRun(buffer: Buffer, entry: Entry): InRecord[] {
  const records: InRecord[] = new Array(entry.count);
  let at = entry.payload;
  for (let i = 0; i < entry.count; i += 1) {
    const keyEnd = at + recordHeadBytes + buffer.readUInt32LE(at);
    const headersEnd = keyEnd + buffer.readUInt32LE(at + 4);
    const end = headersEnd + buffer.readUInt32LE(at + 8);
    const head = {
      partition: entry.partition,
      key: buffer.toString("utf8", at + recordHeadBytes, keyEnd),
      body: new Uint8Array(buffer.buffer, buffer.byteOffset + headersEnd, end - headersEnd),
      position: String(entry.first + i),
      attempt: 1,
      sentAt: entry.sentAt + buffer.readUInt32LE(at + 12),
    };
    records[i] =
      headersEnd === keyEnd ? head : { ...head, headers: JSON.parse(buffer.toString("utf8", keyEnd, headersEnd)) };
    at = end;
  }
  return records;
}
