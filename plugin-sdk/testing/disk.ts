/** A file as a log needs it; the shape is the contract, so that code under test brings its own declaration of it. */
export interface DiskFile {
  write(bytes: Uint8Array, offset: number): Promise<void>;
  read(into: Uint8Array, offset: number): Promise<number>;
  size(): Promise<number>;
  datasync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** A flat directory of such files. */
export interface Disk {
  list(): Promise<string[]>;
  open(name: string, mode: "create" | "read"): Promise<DiskFile>;
  remove(name: string): Promise<void>;
  syncDirectory(): Promise<void>;
}

/** A file for code that cannot wait, such as the file layer of a database; calls throw what they would reject with. */
export interface SyncDiskFile {
  write(bytes: Uint8Array, offset: number): void;
  read(into: Uint8Array, offset: number): number;
  size(): number;
  datasync(): void;
  truncate(bytes: number): void;
}

export interface SyncDisk {
  exists(name: string): boolean;
  /** Makes the file when it is missing. */
  open(name: string): SyncDiskFile;
  remove(name: string): void;
  syncDirectory(): void;
}
