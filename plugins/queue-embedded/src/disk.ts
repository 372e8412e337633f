import { mkdir, open, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";

/** One file, addressed by offset. Every call may reject with the system's error. */
export interface DiskFile {
  /** Writes all of it or rejects; after a rejection any part may be there. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** Fills `into` as far as the file goes; returns how many bytes it got. */
  read(into: Uint8Array, offset: number): Promise<number>;
  size(): Promise<number>;
  /** Resolves when what was written, and the file's length, survive a power cut. */
  datasync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** What the log needs of a directory; small, so that a model of a power cut can stand in for it. */
export interface Disk {
  list(): Promise<string[]>;
  /** `create` fails when the file exists. */
  open(name: string, mode: "create" | "read"): Promise<DiskFile>;
  remove(name: string): Promise<void>;
  /** Resolves when created and removed names survive a power cut. */
  syncDirectory(): Promise<void>;
}

/** The directory `dir` of the real file system; it is made when missing. */
export async function openDirectory(dir: string): Promise<Disk> {
  await mkdir(dir, { recursive: true });
  return {
    list: () => readdir(dir),
    open: async (name, mode) => {
      const handle = await open(join(dir, name), mode === "create" ? "wx" : "r");
      return {
        write: async (bytes, offset) => {
          let done = 0;
          while (done < bytes.byteLength) {
            const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, offset + done);
            done += bytesWritten;
          }
        },
        read: async (into, offset) => {
          let done = 0;
          while (done < into.byteLength) {
            const { bytesRead } = await handle.read(into, done, into.byteLength - done, offset + done);
            if (bytesRead === 0) break;
            done += bytesRead;
          }
          return done;
        },
        size: async () => (await handle.stat()).size,
        datasync: () => handle.datasync(),
        truncate: (bytes) => handle.truncate(bytes),
        close: () => handle.close(),
      };
    },
    remove: (name) => unlink(join(dir, name)),
    syncDirectory: async () => {
      // Windows cannot open a directory; NTFS journals its names by itself.
      if (process.platform === "win32") return;
      const handle = await open(dir, "r");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
  };
}
