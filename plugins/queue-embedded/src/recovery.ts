import { Catalog, indexRun, type Segment } from "./catalog.ts";
import type { Disk } from "./disk.ts";
import { type Entry, entryAt, entryHeadBytes, kinds, wasDurable } from "./entry.ts";
import { fault } from "./faults.ts";
import { readCatalog, readRows } from "./state-entries.ts";

const pattern = /^\d{12}\.log$/;

export const segmentName = (id: number): string => `${String(id).padStart(12, "0")}.log`;

/** A segment begins with its catalog, heads and positions. */
const headEntries = 3;

export interface Recovered {
  readonly catalog: Catalog;
  /** Oldest first. */
  readonly segments: Segment[];
  readonly nextId: number;
}

interface Scan {
  readonly id: number;
  readonly entries: Entry[];
  readonly buffer: Buffer;
  readonly end: number;
}

/**
 * Rebuilds catalog and index from the files. The newest segment says which others count and how much of each; only in
 * the newest may the end be torn. Nothing is ever appended to a recovered file: the next write begins a new one.
 */
export async function recover(disk: Disk, signal: AbortSignal): Promise<Recovered> {
  const files = (await disk.list()).filter((name) => pattern.test(name));
  const ids = files.map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b);
  const nextId = (ids.at(-1) ?? 0) + 1;
  const catalog = new Catalog();
  let newest: Scan | undefined;
  let sealed: ReadonlyMap<number, number> = new Map();
  while (newest === undefined && ids.length > 0) {
    signal.throwIfAborted();
    const scan = await scanSegment(disk, { id: ids.pop() as number, space: { buffer: Buffer.alloc(0) } });
    // Without its whole head nothing in it was ever acknowledged, and the segment before it knows more.
    if (scan.entries.length < headEntries) await disk.remove(segmentName(scan.id));
    else newest = scan;
  }
  if (newest === undefined) return { catalog, segments: [], nextId };
  // A process that died may have left bytes that only the page cache has: they must not be relied on before a sync.
  const file = await disk.open(segmentName(newest.id), "read");
  await file.datasync().finally(() => file.close());
  await disk.syncDirectory();

  for (const entry of newest.entries) {
    if (entry.kind === kinds.catalog) sealed = readCatalog(newest.buffer, entry, catalog);
  }
  const segments: Segment[] = [];
  const space: Space = { buffer: Buffer.alloc(0) };
  for (const id of ids) {
    signal.throwIfAborted();
    const end = sealed.get(id);
    if (end === undefined) await disk.remove(segmentName(id));
    else segments.push(indexSegment(catalog, await scanSegment(disk, { id, sealedAt: end, space })));
  }
  segments.push(indexSegment(catalog, newest));
  for (const group of catalog.groupsById) {
    for (const cursor of group?.cursors ?? []) cursor.settled = cursor.partition.oldest;
  }
  for (const entry of newest.entries) {
    if (entry.kind === kinds.positions || entry.kind === kinds.heads) readRows(newest.buffer, entry, catalog);
  }
  return { catalog, segments, nextId };
}

/** Memory to read into, used again: the system takes longer to hand out fresh pages than to copy a file into old ones. */
interface Space {
  buffer: Buffer;
}

/** Reads a segment's entries: all of a sealed one, which must be whole, or the newest one's up to a torn end. */
async function scanSegment(
  disk: Disk,
  { id, sealedAt, space }: { readonly id: number; readonly sealedAt?: number; readonly space: Space },
): Promise<Scan> {
  const file = await disk.open(segmentName(id), "read");
  let buffer: Buffer;
  try {
    const bytes = Math.min(await file.size(), sealedAt ?? Number.MAX_SAFE_INTEGER);
    if (space.buffer.length < bytes) space.buffer = Buffer.allocUnsafeSlow(bytes);
    const room = space.buffer.subarray(0, bytes);
    buffer = room.subarray(0, await file.read(room, 0));
  } finally {
    await file.close();
  }
  const entries: Entry[] = [];
  let end = 0;
  for (let entry = entryAt(buffer, 0); entry !== undefined; entry = entryAt(buffer, end)) {
    if (entry.salt !== (entries[0]?.salt ?? entry.salt)) break;
    entries.push(entry);
    end = entry.end;
  }
  const damaged = sealedAt === undefined ? wasDurable(buffer, end, entries[0]?.salt) : end !== sealedAt;
  if (damaged) {
    throw fault(
      "queue.corrupt",
      `${segmentName(id)} is damaged at byte ${end} of ${sealedAt ?? buffer.length}, which had been durable; restore ` +
        "the file from a copy, or remove it to give up the records in it",
    );
  }
  return { id, entries, buffer, end };
}

function indexSegment(catalog: Catalog, { id, entries, end }: Scan): Segment {
  const segment: Segment = { id, name: segmentName(id), parts: [], end, newest: 0 };
  for (const entry of entries) {
    if (entry.kind !== kinds.run) continue;
    const partition = catalog.topicsById[entry.topic]?.partitions[entry.partition];
    if (partition === undefined) continue;
    const offset = entry.payload - entryHeadBytes;
    indexRun(segment, partition, { first: entry.first, count: entry.count, offset, end: entry.end });
    partition.next = Math.max(partition.next, entry.first + entry.count);
    segment.newest = Math.max(segment.newest, entry.sentAt);
  }
  return segment;
}
