import { randomFillSync } from "node:crypto";
import { Fault } from "../fault.ts";
import { decodePlain, encodePlain } from "../model/codec.ts";
import type { EntityId } from "../model/entity.ts";
import type { Msg } from "../model/msg.ts";
import type { Plain } from "../model/plain.ts";
import { readTypedJson, writeTypedJson } from "../model/typed-json.ts";

/**
 * A rule message on the durable lane. The parts that repeat from message to message of one session form a *head* that is
 * encoded once; reading keeps the newest heads, so that a message costs one buffer copy to write and one JSON parse to read.
 *
 * Layout: version u8 = 1 | flags u8 | head length u16 | head (MessagePack map) | ts f64 | id 16 bytes | body (UTF-8).
 */
const version = 1;
const flagTyped = 1;
const flagStampTs = 2;
const fixedBytes = 4 + 8 + 16;
const keptHeads = 4096;

/** What repeats; see `Msg` for the fields. */
export interface RuleHead {
  readonly type: string;
  readonly originator: EntityId;
  readonly tenantId: string;
  readonly customerId?: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly dataType?: Msg["dataType"] | undefined;
  readonly ruleChainId?: string | undefined;
  readonly ruleNodeId?: string | undefined;
  readonly relations?: readonly string[] | undefined;
  readonly hops?: number | undefined;
  readonly stack?: NonNullable<Msg["stack"]> | undefined;
}

export interface RuleBody {
  /** UTF-8 JSON (or text for dataType TEXT). */
  readonly bytes: Uint8Array;
  /** False when `JSON.parse` gives every value its right type; true when the typed reader must. */
  readonly typed: boolean;
  readonly ts: number;
  /** Adds `metadata.ts`. */
  readonly stampTs: boolean;
  /** A UUID; one is drawn when absent. */
  readonly id?: string;
}

export function encodeRuleHead(head: RuleHead): Uint8Array {
  const bytes = encodePlain(head as unknown as Plain);
  if (bytes.length > 0xffff) {
    throw new Fault(
      "invalid",
      "rule.head-too-large",
      `rule message metadata takes ${bytes.length} of at most 65535 bytes`,
    );
  }
  return bytes.slice();
}

export function encodeRuleRecord(head: Uint8Array, body: RuleBody): Uint8Array {
  const out = Buffer.allocUnsafe(fixedBytes + head.length + body.bytes.length);
  out[0] = version;
  out[1] = (body.typed ? flagTyped : 0) | (body.stampTs ? flagStampTs : 0);
  out.writeUInt16LE(head.length, 2);
  out.set(head, 4);
  let at = out.writeDoubleLE(body.ts, 4 + head.length);
  if (body.id === undefined) drawUuid(out, at);
  else writeUuid(out, at, body.id);
  at += 16;
  out.set(body.bytes, at);
  return out;
}

/** A whole message as a record. */
export function encodeMsg(msg: Msg): Uint8Array {
  const { id, ts, data, ...head } = msg;
  const text = msg.dataType === "JSON" ? writeTypedJson(data) : String(data ?? "");
  return encodeRuleRecord(encodeRuleHead(head), { bytes: Buffer.from(text), typed: true, ts, stampTs: false, id });
}

interface KnownHead {
  readonly head: RuleHead;
  /** The head's metadata with a place for `ts`: V8 copies an object fast only where the copy has the same members. */
  readonly stamped: Record<string, string>;
}
const heads = new Map<string, KnownHead>();

function readHead(bytes: Buffer): KnownHead {
  const key = bytes.toString("latin1");
  const known = heads.get(key);
  if (known !== undefined) return known;
  const head = decodePlain(bytes) as unknown as RuleHead;
  const entry = { head, stamped: { ...head.metadata, ts: "" } };
  if (heads.size >= keptHeads) heads.delete(heads.keys().next().value as string);
  heads.set(key, entry);
  return entry;
}

/** Fault `rule.record` when the bytes are not a rule record of a version this program reads. */
export function decodeRuleRecord(record: Uint8Array): Msg {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  if (bytes.length < fixedBytes || bytes[0] !== version) {
    throw new Fault(
      "invalid",
      "rule.record",
      `rule record of version ${bytes[0]} with ${bytes.length} bytes cannot be read`,
    );
  }
  const flags = bytes[1] as number;
  const headLength = bytes.readUInt16LE(2);
  const { head, stamped } = readHead(bytes.subarray(4, 4 + headLength));
  const ts = bytes.readDoubleLE(4 + headLength);
  const idAt = 12 + headLength;
  const text = bytes.toString("utf8", idAt + 16);
  const dataType = head.dataType ?? "JSON";
  const data =
    dataType !== "JSON" ? text : (flags & flagTyped) !== 0 ? readTypedJson(text) : (JSON.parse(text) as Plain);
  const metadata = (flags & flagStampTs) !== 0 ? { ...stamped, ts: String(ts) } : head.metadata;
  // Member by member: a spread with members added to it costs twenty times as much.
  return {
    id: readUuid(bytes, idAt),
    type: head.type,
    originator: head.originator,
    tenantId: head.tenantId,
    customerId: head.customerId,
    ts,
    metadata,
    data,
    dataType,
    ruleChainId: head.ruleChainId,
    ruleNodeId: head.ruleNodeId,
    relations: head.relations,
    hops: head.hops,
    stack: head.stack,
  };
}

const pool = Buffer.allocUnsafe(16 * 256);
let drawn = pool.length;

/** A random UUID, version 4 (RFC 9562), from a pool: drawing them one by one is slow. */
function drawUuid(out: Buffer, at: number): void {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  pool.copy(out, at, drawn, drawn + 16);
  drawn += 16;
  out[at + 6] = ((out[at + 6] as number) & 0x0f) | 0x40;
  out[at + 8] = ((out[at + 8] as number) & 0x3f) | 0x80;
}

function writeUuid(out: Buffer, at: number, id: string): void {
  out.write(id.replaceAll("-", ""), at, 16, "hex");
}

function readUuid(bytes: Buffer, at: number): string {
  const hex = bytes.toString("hex", at, at + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
