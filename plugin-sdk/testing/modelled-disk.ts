import type { Disk, DiskFile, SyncDisk, SyncDiskFile } from "./disk.ts";
import { seededRandom } from "./world.ts";

const sectorBytes = 512;

interface Write {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** A sync has failed over it: the system holds it for clean, no later sync writes it. */
  forgotten: boolean;
}

/** A file's bytes: what a reader sees, what survives for sure, and what lies between. */
class Inode {
  now = new Uint8Array(0);
  durable = new Uint8Array(0);
  writes: Write[] = [];
  /** Lengths the file has had since the last sync. */
  lengths: number[] = [];

  write(bytes: Uint8Array, offset: number): void {
    this.now = widened(this.now, offset + bytes.length);
    this.now.set(bytes, offset);
    this.writes.push({ offset, bytes: new Uint8Array(bytes), forgotten: false });
    this.lengths.push(this.now.length);
  }

  truncate(length: number): void {
    this.now = this.now.slice(0, length);
    this.lengths.push(length);
  }

  sync(): void {
    const end = Math.max(this.now.length, ...this.writes.map(({ offset, bytes }) => offset + bytes.length));
    const durable = widened(this.durable, end);
    for (const [at, { offset, bytes, forgotten }] of this.writes.entries()) {
      if (forgotten) continue;
      durable.set(bytes, offset);
      // What a forgotten write may still bring to the disk is no older than what is synced over it.
      for (const earlier of this.writes.slice(0, at)) if (earlier.forgotten) patch(earlier, { offset, bytes });
    }
    this.writes = this.writes.filter(({ forgotten }) => forgotten);
    this.durable = durable.length === this.now.length ? durable : durable.slice(0, this.now.length);
    this.lengths = [];
  }

  /** After a power cut: each sector stands at any of the writes to it, the length at any it has had. */
  settle(random: () => number): void {
    const lengths = [this.durable.length, ...this.lengths];
    const length = lengths[Math.floor(random() * lengths.length)] as number;
    const stale = random() < 0.5;
    // Blocks that were given to the file but never written hold zeros or what a deleted file has left there.
    const bytes = new Uint8Array(length);
    if (stale) for (let i = this.durable.length; i < length; i += 1) bytes[i] = Math.floor(random() * 256);
    bytes.set(this.durable.subarray(0, length));
    for (let start = 0; start < length; start += sectorBytes) this.#settleSector(bytes, start, random);
    this.now = bytes;
    this.durable = new Uint8Array(bytes);
    this.writes = [];
    this.lengths = [];
  }

  #settleSector(into: Uint8Array, start: number, random: () => number): void {
    const end = Math.min(start + sectorBytes, into.length);
    const writes = this.writes.filter(({ offset, bytes }) => offset < end && offset + bytes.length > start);
    const kept = Math.floor(random() * (writes.length + 1));
    const torn = random() < 0.1 ? start + Math.floor(random() * sectorBytes) : end;
    for (const [i, { offset, bytes }] of writes.slice(0, kept).entries()) {
      const upTo = i === kept - 1 ? Math.min(end, torn) : end;
      const from = Math.max(start, offset);
      const to = Math.min(upTo, offset + bytes.length);
      if (to > from) into.set(bytes.subarray(from - offset, to - offset), from);
    }
  }
}

function patch(into: Write, { offset, bytes }: Omit<Write, "forgotten">): void {
  const from = Math.max(into.offset, offset);
  const to = Math.min(into.offset + into.bytes.length, offset + bytes.length);
  if (to > from) into.bytes.set(bytes.subarray(from - offset, to - offset), from - into.offset);
}

/** The same bytes with room up to `length`; themselves when they have it. */
function widened(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (bytes.length >= length) return bytes;
  const wider = new Uint8Array(length);
  wider.set(bytes);
  return wider;
}

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: modelled disk`), { code, syscall: "modelled" });
}

/**
 * A disk in memory that keeps apart what was written and what was synced. After `cut` no call ever answers; `restart`
 * gives the disk as the next process finds it: unsynced sectors are old, new or torn, unsynced names are there or not,
 * as the seed says.
 */
export class ModelledDisk implements Disk {
  /** Bytes that may still be written before ENOSPC. */
  spaceBytes = Number.POSITIVE_INFINITY;
  /** So many of the next syncs fail with EIO; what they were for is then neither dirty nor durable. */
  failingSyncs = 0;
  /** How many microtasks a sync takes. */
  syncTurns = 1;
  /** So many more calls, and the power goes. */
  callsLeft = Number.POSITIVE_INFINITY;
  /** Calls so far, by name. */
  readonly calls = new Map<string, number>();
  #names: Map<string, Inode>;
  #durableNames: Map<string, Inode>;

  constructor(names: ReadonlyMap<string, Inode> = new Map()) {
    this.#names = new Map(names);
    this.#durableNames = new Map(names);
  }

  get isOff(): boolean {
    return this.callsLeft <= 0;
  }

  cut(): void {
    this.callsLeft = 0;
  }

  /** The disk after the power cut; this one stays silent for ever. */
  restart(seed: number): ModelledDisk {
    this.cut();
    const random = seededRandom(seed);
    const names = new Map(this.#durableNames);
    for (const name of new Set([...this.#names.keys(), ...this.#durableNames.keys()])) {
      const now = this.#names.get(name);
      if (now === names.get(name) || random() < 0.5) continue;
      if (now === undefined) names.delete(name);
      else names.set(name, now);
    }
    for (const inode of names.values()) inode.settle(random);
    return new ModelledDisk(names);
  }

  /** The disk as the next process finds it after a kill: unsynced bytes are still in the system's cache. */
  afterKill(): ModelledDisk {
    this.cut();
    const disk = new ModelledDisk(this.#names);
    disk.#durableNames = new Map(this.#durableNames);
    return disk;
  }

  async list(): Promise<string[]> {
    await this.#call("list");
    return [...this.#names.keys()];
  }

  async open(name: string, mode: "create" | "read"): Promise<DiskFile> {
    await this.#call("open");
    const known = this.#names.get(name);
    if (mode === "create" && known !== undefined) throw systemError("EEXIST");
    if (mode === "read" && known === undefined) throw systemError("ENOENT");
    const inode = known ?? new Inode();
    this.#names.set(name, inode);
    return this.#file(inode);
  }

  async remove(name: string): Promise<void> {
    await this.#call("remove");
    if (!this.#names.delete(name)) throw systemError("ENOENT");
  }

  async syncDirectory(): Promise<void> {
    await this.#call("syncDirectory");
    this.#durableNames = new Map(this.#names);
  }

  /** Flips a byte of a file for good. */
  damage(name: string, offset: number): void {
    const inode = this.#names.get(name);
    if (inode === undefined || offset >= inode.now.length) throw new Error(`${name} has no byte ${offset}`);
    inode.now[offset] = (inode.now[offset] ?? 0) ^ 0xff;
    inode.durable = new Uint8Array(inode.now);
  }

  /** The same disk for code that cannot wait. A call that would not answer throws EIO instead, and so does every later one. */
  get sync(): SyncDisk {
    return {
      exists: (name) => {
        this.#spend("exists");
        return this.#names.has(name);
      },
      open: (name) => {
        this.#spend("open");
        const inode = this.#names.get(name) ?? new Inode();
        this.#names.set(name, inode);
        return this.#syncFile(inode);
      },
      remove: (name) => {
        this.#spend("remove");
        if (!this.#names.delete(name)) throw systemError("ENOENT");
      },
      syncDirectory: () => {
        this.#spend("syncDirectory");
        this.#durableNames = new Map(this.#names);
      },
    };
  }

  #file(inode: Inode): DiskFile {
    return {
      write: async (bytes, offset) => {
        // Bytes of a write that never returns may be on the disk all the same.
        if (this.callsLeft === 1) inode.write(bytes, offset);
        await this.#call("write");
        this.#write(inode, bytes, offset);
      },
      read: async (into, offset) => {
        await this.#call("read");
        return read(inode, into, offset);
      },
      size: async () => {
        await this.#call("size");
        return inode.now.length;
      },
      datasync: async () => {
        for (let i = 0; i < this.syncTurns; i += 1) await this.#call(i === 0 ? "datasync" : "datasync-turn");
        this.#datasync(inode);
      },
      truncate: async (bytes) => {
        await this.#call("truncate");
        inode.truncate(bytes);
      },
      close: () => this.#call("close"),
    };
  }

  #syncFile(inode: Inode): SyncDiskFile {
    return {
      write: (bytes, offset) => {
        if (this.callsLeft === 1) inode.write(bytes, offset);
        this.#spend("write");
        this.#write(inode, bytes, offset);
      },
      read: (into, offset) => {
        this.#spend("read");
        return read(inode, into, offset);
      },
      size: () => {
        this.#spend("size");
        return inode.now.length;
      },
      datasync: () => {
        this.#spend("datasync");
        this.#datasync(inode);
      },
      truncate: (bytes) => {
        this.#spend("truncate");
        inode.truncate(bytes);
      },
    };
  }

  #write(inode: Inode, bytes: Uint8Array, offset: number): void {
    const room = Math.min(bytes.length, this.spaceBytes);
    inode.write(bytes.subarray(0, room), offset);
    this.spaceBytes -= room;
    if (room < bytes.length) throw systemError("ENOSPC");
  }

  #datasync(inode: Inode): void {
    if (this.failingSyncs > 0) {
      this.failingSyncs -= 1;
      for (const write of inode.writes) write.forgotten = true;
      throw systemError("EIO");
    }
    inode.sync();
  }

  #spend(name: string): void {
    this.#count(name);
    if (this.isOff) throw systemError("EIO");
  }

  async #call(name: string): Promise<void> {
    this.#count(name);
    await Promise.resolve();
    if (this.isOff) await new Promise(() => {});
  }

  #count(name: string): void {
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    this.callsLeft -= 1;
  }
}

function read(inode: Inode, into: Uint8Array, offset: number): number {
  const part = inode.now.subarray(offset, offset + into.byteLength);
  into.set(part);
  return part.length;
}
