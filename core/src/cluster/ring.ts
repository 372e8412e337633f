import type { Member } from "@heddle/plugin-sdk";
import { murmur3 } from "./hash.ts";

/** Points of one member of weight 1 on the ring. */
const virtualNodes = 128;
/** No member takes more than this times its fair share. */
const loadCap = 1.15;

type Candidate = Pick<Member, "id" | "weight" | "roles">;

/**
 * The owner of every partition: consistent hashing with bounded loads. A pure function of the member list, so every node
 * that knows the list knows the owners. Members without the role `owner` own nothing; without any owner, nobody does.
 */
export function assign(partitions: number, members: readonly Candidate[]): (string | undefined)[] {
  const owners = members.filter((member) => member.roles.includes("owner") && member.weight > 0);
  if (owners.length === 0) return new Array(partitions).fill(undefined);
  const ring = ringOf(owners);
  const room = roomOf(partitions, owners);
  const result: (string | undefined)[] = new Array(partitions);
  for (const { partition, at } of places(partitions)) {
    let i = firstAtOrAfter(ring, at);
    for (let steps = 0; (room.get((ring[i] as Point).id) ?? 0) <= 0 && steps < ring.length; steps++)
      i = (i + 1) % ring.length;
    const { id } = ring[i] as Point;
    room.set(id, (room.get(id) ?? 0) - 1);
    result[partition] = id;
  }
  return result;
}

interface Point {
  readonly at: number;
  readonly id: string;
}

function ringOf(owners: readonly Candidate[]): Point[] {
  const ring: Point[] = [];
  for (const { id, weight } of owners) {
    const points = Math.max(1, Math.round(virtualNodes * weight));
    for (let n = 0; n < points; n++) ring.push({ at: murmur3(`${id}#${n}`), id });
  }
  return ring.sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
}

function roomOf(partitions: number, owners: readonly Candidate[]): Map<string, number> {
  const weights = owners.reduce((sum, owner) => sum + owner.weight, 0);
  return new Map(owners.map(({ id, weight }) => [id, Math.ceil((partitions * weight * loadCap) / weights)]));
}

const placesOf = new Map<number, { partition: number; at: number }[]>();

function places(partitions: number): { partition: number; at: number }[] {
  let known = placesOf.get(partitions);
  if (known === undefined) {
    known = Array.from({ length: partitions }, (_, partition) => ({
      partition,
      at: murmur3(`partition/${partition}`),
    }));
    placesOf.set(partitions, known);
  }
  return known;
}

function firstAtOrAfter(ring: readonly Point[], at: number): number {
  let low = 0;
  let high = ring.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ring[middle] as Point).at < at) low = middle + 1;
    else high = middle;
  }
  return low % ring.length;
}
