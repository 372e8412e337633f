import type { Log, World } from "@heddle/plugin-sdk";
import { type Catalog, type Cursor, forget, indexRun, isSpent, type Segment } from "./catalog.ts";
import type { Commit, EncodedRun } from "./commit.ts";
import type { Disk, DiskFile } from "./disk.ts";
import type { Stamp } from "./entry.ts";
import { type Recovered, segmentName } from "./recovery.ts";
import { catalogEntry, headsEntry, movedCursors, positionsEntry } from "./state-entries.ts";

interface Active {
  readonly segment: Segment;
  readonly file: DiskFile;
  readonly salt: number;
  /** Where the next write goes, and how much of the file is known to be durable. */
  written: number;
  synced: number;
}

/** What to write besides records. */
export interface Extras {
  readonly catalog: boolean;
  readonly cursors: readonly Cursor[];
  /** Without it the write is left to the next sync: only positions may be written so. */
  readonly sync: boolean;
}

/**
 * The one writer: appends to the active segment, begins new ones, deletes spent ones. Calls must not overlap. After a
 * write or a sync has failed nobody knows what the file holds, so it is given up at its last durable byte for good.
 */
export class Journal {
  readonly catalog: Catalog;
  readonly segments: Segment[];
  readonly #disk: Disk;
  readonly #world: World;
  readonly #log: Log;
  readonly #segmentBytes: number;
  #active: Active | undefined;
  #nextId: number;

  constructor(
    recovered: Recovered,
    at: { readonly disk: Disk; readonly world: World; readonly log: Log; readonly segmentBytes: number },
  ) {
    this.catalog = recovered.catalog;
    this.segments = recovered.segments;
    this.#nextId = recovered.nextId;
    this.#disk = at.disk;
    this.#world = at.world;
    this.#log = at.log;
    this.#segmentBytes = at.segmentBytes;
  }

  get bytes(): number {
    return this.segments.reduce((sum, { end }) => sum + end, this.#active?.written ?? 0);
  }

  /** Writes the commit and the extras; with `sync`, resolves when they are durable. Returns the runs written. */
  async append(
    commit: Commit,
    extras: Extras,
  ): Promise<{ readonly runs: readonly EncodedRun[]; readonly bytes: number }> {
    try {
      const active = await this.#writable();
      const stamp = { salt: active.salt, synced: active.synced };
      const { buffer, runs } = commit.encode(stamp);
      const parts = this.#extraEntries(extras, stamp);
      const base = active.written;
      // Extras follow the records, so that the runs' offsets need no shift.
      const bytes = parts.length === 0 ? buffer : Buffer.concat([buffer, ...parts]);
      await active.file.write(bytes, base);
      active.written += bytes.length;
      if (extras.sync) await this.#sync(active);
      for (const { partition, first, next, offset, end, sentAt } of runs) {
        indexRun(active.segment, partition, { first, count: next - first, offset: base + offset, end: base + end });
        active.segment.newest = Math.max(active.segment.newest, sentAt);
        partition.next = next;
      }
      active.segment.end = active.synced;
      return { runs, bytes: buffer.length };
    } catch (error) {
      await this.#giveUp(error);
      throw error;
    }
  }

  /** Begins a segment and syncs it: proof that the disk takes writes again. */
  async probe(): Promise<void> {
    try {
      await this.#sync(await this.#writable());
    } catch (error) {
      await this.#giveUp(error);
      throw error;
    }
  }

  /** Deletes the segments that nobody needs; the active one is left. */
  async sweep(): Promise<void> {
    const now = this.#world.now();
    for (const segment of [...this.segments]) {
      if (segment === this.#active?.segment || !isSpent(segment, now)) continue;
      await this.#disk.remove(segment.name);
      forget(segment);
      this.segments.splice(this.segments.indexOf(segment), 1);
    }
  }

  async close(): Promise<void> {
    const active = this.#active;
    if (active === undefined) return;
    this.#active = undefined;
    try {
      if (active.synced < active.written) await active.file.datasync();
    } finally {
      await active.file.close();
    }
  }

  #extraEntries(extras: Extras, stamp: Stamp): Buffer[] {
    const sealed = this.segments.filter((segment) => segment !== this.#active?.segment);
    return [
      ...(extras.catalog ? [catalogEntry(this.catalog, sealed, stamp)] : []),
      ...(extras.cursors.length > 0 ? [positionsEntry(extras.cursors, stamp)] : []),
    ];
  }

  async #sync(active: Active): Promise<void> {
    const fresh = active.synced === 0;
    await active.file.datasync();
    if (fresh) await this.#disk.syncDirectory();
    active.synced = active.written;
  }

  async #writable(): Promise<Active> {
    const current = this.#active;
    if (current !== undefined && current.written < this.#segmentBytes) return current;
    if (current !== undefined) {
      // What follows relies on the whole of this file.
      if (current.synced < current.written) await this.#sync(current);
      current.segment.end = current.synced;
      this.#active = undefined;
      await current.file.close();
      await this.sweep();
    }
    return this.#begin();
  }

  /** A new segment repeats all that is known, so that the ones before it can go in any order. */
  async #begin(): Promise<Active> {
    const id = this.#nextId;
    this.#nextId += 1;
    const stamp = { salt: Math.floor(this.#world.random() * 2 ** 32), synced: 0 };
    const head = Buffer.concat([
      catalogEntry(this.catalog, this.segments, stamp),
      headsEntry(this.catalog, stamp),
      positionsEntry(movedCursors(this.catalog), stamp),
    ]);
    const segment: Segment = { id, name: segmentName(id), parts: [], end: 0, newest: 0 };
    const file = await this.#disk.open(segment.name, "create");
    this.#active = { segment, file, salt: stamp.salt, written: 0, synced: 0 };
    this.segments.push(segment);
    await file.write(head, 0);
    this.#active.written = head.length;
    return this.#active;
  }

  /** The segment ends where it was last known to be durable. Failures here change nothing: the next head says so too. */
  async #giveUp(error: unknown): Promise<void> {
    const active = this.#active;
    if (active === undefined) return;
    this.#active = undefined;
    const { segment, file, synced } = active;
    segment.end = synced;
    this.#log.error("segment given up", { segment: segment.name, bytes: synced, error: String(error) });
    if (synced === 0) this.segments.splice(this.segments.indexOf(segment), 1);
    const steps = [() => file.truncate(synced), () => file.close()];
    if (synced === 0) steps.push(() => this.#disk.remove(segment.name));
    for (const step of steps) {
      await step().catch((reason: unknown) => {
        this.#log.warn("segment left as it is", { segment: segment.name, error: String(reason) });
      });
    }
  }
}
