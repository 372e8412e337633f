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
