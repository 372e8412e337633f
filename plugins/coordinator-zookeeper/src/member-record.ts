import type { Member } from "@heddle/plugin-sdk";

/** What a member's node holds, as JSON: itself, and how long its session lives when it falls silent, ms. */
export interface MemberRecord {
  readonly member: Member;
  readonly sessionMs: number;
}

export function encodeRecord(record: MemberRecord): Buffer {
  return Buffer.from(JSON.stringify(record));
}

/** Undefined when this plugin did not write it; unknown fields of later versions are left out. */
export function decodeRecord(data: Buffer): MemberRecord | undefined {
  let read: { readonly member?: Partial<Member>; readonly sessionMs?: unknown } | null;
  try {
    read = JSON.parse(data.toString());
  } catch {
    return undefined;
  }
  const { id, incarnation, address, roles, weight, wire, partitions, drained } = read?.member ?? {};
  const texts = [id, incarnation, address].every((text) => typeof text === "string");
  const numbers = [weight, wire, partitions, drained, read?.sessionMs].every(Number.isFinite);
  if (!texts || !numbers || !Array.isArray(roles) || !roles.every((role) => typeof role === "string")) return undefined;
  const member = { id, incarnation, address, roles, weight, wire, partitions, drained } as Member;
  return { member, sessionMs: read?.sessionMs as number };
}
