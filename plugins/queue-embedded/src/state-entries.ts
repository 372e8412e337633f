import { type Catalog, type Cursor, Group, type Segment } from "./catalog.ts";
import { type Entry, entryHeadBytes, kinds, noHead, type Stamp, sealEntry } from "./entry.ts";

interface CatalogText {
  readonly topics: readonly { id: number; name: string; partitions: number; retainMs: number }[];
  readonly groups: readonly { id: number; topic: number; name: string }[];
  /** Segments written before this one and how much of each counts. */
  readonly sealed: readonly (readonly [id: number, end: number])[];
}

/** Topics, groups and the segments in front, as one entry. */
export function catalogEntry(catalog: Catalog, sealed: readonly Segment[], stamp: Stamp): Buffer {
  const topics = [...catalog.topics.values()];
  const text: CatalogText = {
    topics: topics.map(({ id, name, partitions, retainMs }) => ({ id, name, partitions: partitions.length, retainMs })),
    groups: topics.flatMap((topic) =>
      [...topic.groups.values()].map(({ id, name }) => ({ id, name, topic: topic.id })),
    ),
    sealed: sealed.map(({ id, end }) => [id, end] as const),
  };
  const payload = Buffer.from(JSON.stringify(text));
  const entry = Buffer.allocUnsafe(entryHeadBytes + payload.length);
  payload.copy(entry, entryHeadBytes);
  sealEntry(entry, 0, entry.length, { ...noHead, kind: kinds.catalog, ...stamp });
  return entry;
}

/** Adds what the entry knows; returns the sealed segments it names. */
export function readCatalog(buffer: Buffer, entry: Entry, catalog: Catalog): ReadonlyMap<number, number> {
  const text = JSON.parse(buffer.toString("utf8", entry.payload, entry.end)) as CatalogText;
  for (const spec of text.topics) {
    const known = catalog.topics.get(spec.name);
    if (known === undefined) catalog.addTopic(spec, spec.id);
    else known.retainMs = spec.retainMs;
  }
  for (const { id, topic: topicId, name } of text.groups) {
    const topic = catalog.topicsById[topicId];
    if (topic !== undefined && !topic.groups.has(name)) catalog.addGroup(topic, name, id);
  }
  return new Map(text.sealed);
}

const rowBytes = 16;

/** Rows of (topic or group, partition, position) as one entry. */
function rowsEntry(
  kind: number,
  rows: readonly (readonly [id: number, partition: number, at: number])[],
  stamp: Stamp,
) {
  const entry = Buffer.allocUnsafe(entryHeadBytes + rows.length * rowBytes);
  let at = entryHeadBytes;
  for (const [id, partition, position] of rows) {
    entry.writeUInt32LE(id, at);
    entry.writeUInt32LE(partition, at + 4);
    entry.writeDoubleLE(position, at + 8);
    at += rowBytes;
  }
  sealEntry(entry, 0, entry.length, { ...noHead, kind, count: rows.length, ...stamp });
  return entry;
}

/** Where these cursors stand. */
export function positionsEntry(cursors: readonly Cursor[], stamp: Stamp): Buffer {
  const rows = cursors.map(({ group, partition, settled }) => [group.id, partition.index, settled] as const);
  return rowsEntry(kinds.positions, rows, stamp);
}

/** Position of the next record of every partition that has had one. */
export function headsEntry(catalog: Catalog, stamp: Stamp): Buffer {
  const partitions = [...catalog.topics.values()].flatMap((topic) => topic.partitions.filter(({ next }) => next > 0));
  return rowsEntry(
    kinds.heads,
    partitions.map(({ topic, index, next }) => [topic.id, index, next] as const),
    stamp,
  );
}

/** Takes over positions or heads. */
export function readRows(buffer: Buffer, entry: Entry, catalog: Catalog): void {
  for (let i = 0, at = entry.payload; i < entry.count; i += 1, at += rowBytes) {
    const id = buffer.readUInt32LE(at);
    const index = buffer.readUInt32LE(at + 4);
    const position = buffer.readDoubleLE(at + 8);
    if (entry.kind === kinds.heads) {
      const partition = catalog.topicsById[id]?.partitions[index];
      if (partition !== undefined) partition.next = Math.max(partition.next, position);
    } else {
      const cursor = catalog.groupsById[id]?.cursors[index];
      if (cursor !== undefined) cursor.settled = Math.max(cursor.settled, position);
    }
  }
}

/** Cursors that stand anywhere but at the beginning. */
export function movedCursors(catalog: Catalog): Cursor[] {
  return catalog.groupsById.flatMap((group) =>
    group instanceof Group ? group.cursors.filter((c) => c.settled > 0) : [],
  );
}
