import type { ModelledDisk, SyncDiskFile } from "@heddle/plugin-sdk/testing";
import { seededRandom } from "@heddle/plugin-sdk/testing";
import type { Sqlite3Static } from "@sqlite.org/sqlite-wasm";

export const layerName = "modelled";

/** Members of a C struct have a dollar sign before their names, which the package's types leave out. */
type Struct = { readonly pointer: number } & Record<`$${string}`, number>;

interface OpenFile {
  readonly file: SyncDiskFile;
  readonly name: string;
  readonly disk: ModelledDisk;
  readonly deleteOnClose: boolean;
  /** A new log's name is durable with its first sync, as in SQLite's own Unix layer. */
  syncsDirectory: boolean;
}

/** The disk that names are looked up on; a file stays with the disk it was opened on. */
export interface Mount {
  disk: ModelledDisk;
  random: () => number;
}

interface Layer {
  readonly sqlite: Sqlite3Static;
  readonly mount: Mount;
  readonly files: Map<number, OpenFile>;
}

/** Registers SQLite's file layer over a modelled disk, behaving like the Unix one down to when it syncs the directory. */
export function installFileLayer(sqlite: Sqlite3Static, mount: Mount): void {
  const { capi } = sqlite;
  const layer: Layer = { sqlite, mount, files: new Map() };
  const io = new capi.sqlite3_io_methods() as unknown as Struct;
  io.$iVersion = 1;
  const vfs = new capi.sqlite3_vfs() as unknown as Struct;
  const usual = new capi.sqlite3_vfs(capi.sqlite3_vfs_find(null as never) as never) as unknown as Struct;
  Object.assign(vfs, {
    $iVersion: 1,
    $szOsFile: (capi.sqlite3_file as unknown as { structInfo: { sizeof: number } }).structInfo.sizeof,
    $mxPathname: 500,
    $xSleep: usual.$xSleep,
    $xCurrentTime: usual.$xCurrentTime,
  });
  sqlite.vfs.installVfs({
    io: { struct: io as never, methods: fileMethods(layer) as never },
    vfs: { struct: vfs as never, methods: systemMethods(layer, io) as never, name: layerName },
  });
}

/** The code of what `work` throws, or what it returns. */
function guarded({ sqlite: { capi } }: Layer, failure: number, work: () => number | undefined): number {
  try {
    return work() ?? capi.SQLITE_OK;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC") return capi.SQLITE_FULL;
    if (code === "EIO") return failure;
    throw error;
  }
}

const bytesAt = ({ sqlite: { wasm } }: Layer, pointer: unknown, count: number): Uint8Array =>
  wasm.heap8u().subarray(Number(pointer), Number(pointer) + Number(count));

function fileMethods(layer: Layer) {
  const { capi, wasm } = layer.sqlite;
  const fileOf = (pointer: unknown) => layer.files.get(Number(pointer)) as OpenFile;
  return {
    xClose: (pointer: number) => {
      const { name, disk, deleteOnClose } = fileOf(pointer);
      layer.files.delete(Number(pointer));
      return guarded(layer, capi.SQLITE_IOERR_CLOSE, () => {
        if (deleteOnClose) disk.sync.remove(name);
        return undefined;
      });
    },
    xRead: (pointer: number, into: number, count: number, offset: bigint) =>
      guarded(layer, capi.SQLITE_IOERR_READ, () => {
        const target = bytesAt(layer, into, count);
        const got = fileOf(pointer).file.read(target, Number(offset));
        if (got === count) return undefined;
        target.fill(0, got);
        return capi.SQLITE_IOERR_SHORT_READ;
      }),
    xWrite: (pointer: number, from: number, count: number, offset: bigint) =>
      guarded(layer, capi.SQLITE_IOERR_WRITE, () => {
        fileOf(pointer).file.write(bytesAt(layer, from, count), Number(offset));
        return undefined;
      }),
    xTruncate: (pointer: number, size: bigint) =>
      guarded(layer, capi.SQLITE_IOERR_TRUNCATE, () => {
        fileOf(pointer).file.truncate(Number(size));
        return undefined;
      }),
    xSync: (pointer: number) =>
      guarded(layer, capi.SQLITE_IOERR_FSYNC, () => {
        const open = fileOf(pointer);
        open.file.datasync();
        if (open.syncsDirectory) open.disk.sync.syncDirectory();
        open.syncsDirectory = false;
        return undefined;
      }),
    xFileSize: (pointer: number, out: number) =>
      guarded(layer, capi.SQLITE_IOERR_FSTAT, () => {
        wasm.poke(out as never, BigInt(fileOf(pointer).file.size()) as never, "i64" as never);
        return undefined;
      }),
    xLock: () => capi.SQLITE_OK,
    xUnlock: () => capi.SQLITE_OK,
    xCheckReservedLock: (_pointer: number, out: number) => {
      wasm.poke(out, 0, "i32");
      return capi.SQLITE_OK;
    },
    xFileControl: () => capi.SQLITE_NOTFOUND,
    xSectorSize: () => 4096,
    xDeviceCharacteristics: () => capi.SQLITE_IOCAP_POWERSAFE_OVERWRITE,
  };
}

function systemMethods(layer: Layer, io: Struct) {
  const { mount } = layer;
  const { capi, wasm } = layer.sqlite;
  const text = (pointer: unknown) => wasm.cstrToJs(pointer as number)?.replace(/^\//, "") ?? "";
  const journals = capi.SQLITE_OPEN_MAIN_JOURNAL | capi.SQLITE_OPEN_SUPER_JOURNAL | capi.SQLITE_OPEN_WAL;
  return {
    xOpen: (_vfs: number, name: number, pointer: number, flags: number, out: number) =>
      guarded(layer, capi.SQLITE_CANTOPEN, () => {
        const { disk } = mount;
        const path = text(name) || `temporary-${String(pointer)}`;
        const isNew = !disk.sync.exists(path);
        if (isNew && (flags & capi.SQLITE_OPEN_CREATE) === 0) return capi.SQLITE_CANTOPEN;
        const opened: OpenFile = {
          file: disk.sync.open(path),
          name: path,
          disk,
          deleteOnClose: (flags & capi.SQLITE_OPEN_DELETEONCLOSE) !== 0,
          syncsDirectory: isNew && (flags & journals) !== 0,
        };
        layer.files.set(Number(pointer), opened);
        const file = new capi.sqlite3_file(pointer as never) as unknown as Struct & { dispose(): void };
        file.$pMethods = io.pointer;
        file.dispose();
        if (out) wasm.poke(out, flags, "i32");
        return undefined;
      }),
    xDelete: (_vfs: number, name: number, syncDirectory: number) =>
      guarded(layer, capi.SQLITE_IOERR_DELETE, () => {
        const { sync } = mount.disk;
        if (!sync.exists(text(name))) return capi.SQLITE_IOERR_DELETE_NOENT;
        sync.remove(text(name));
        if (syncDirectory !== 0) sync.syncDirectory();
        return undefined;
      }),
    xAccess: (_vfs: number, name: number, _flags: number, out: number) =>
      guarded(layer, capi.SQLITE_IOERR_ACCESS, () => {
        const { sync } = mount.disk;
        const there = sync.exists(text(name)) && sync.open(text(name)).size() > 0;
        wasm.poke(out, there ? 1 : 0, "i32");
        return undefined;
      }),
    xFullPathname: (_vfs: number, name: number, size: number, out: number) =>
      wasm.cstrncpy(out, name, size) < size ? capi.SQLITE_OK : capi.SQLITE_CANTOPEN,
    xRandomness: (_vfs: number, count: number, out: number) => {
      for (const at of bytesAt(layer, out, count).keys())
        wasm.poke(Number(out) + at, Math.floor(mount.random() * 256), "i8");
      return count;
    },
    xGetLastError: () => 0,
  };
}

export const mountOf = (disk: ModelledDisk, seed: number): Mount => ({ disk, random: seededRandom(seed) });
