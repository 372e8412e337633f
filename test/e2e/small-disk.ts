import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system of its own, in memory, that a test may fill to the last byte. */
export class SmallDisk implements Disposable {
  readonly path: string;

  constructor(megabytes: number) {
    this.path = mkdtempSync(join(tmpdir(), "heddle-disk-"));
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "heddle", this.path], { stdio: "pipe" });
    } catch (error) {
      rmdirSync(this.path);
      throw error;
    }
  }

  /** Where file systems can be mounted: what to give `describeNeeding`. */
  static get possible(): string | undefined {
    try {
      new SmallDisk(1)[Symbol.dispose]();
      return "mount";
    } catch {
      return undefined;
    }
  }

  fill(): void {
    const file = openSync(join(this.path, "filler"), "a");
    try {
      for (let bytes = 1 << 20; bytes > 0; ) {
        if (!tryToWrite(file, bytes)) bytes >>= 1;
      }
    } finally {
      closeSync(file);
    }
  }

  empty(): void {
    rmSync(join(this.path, "filler"));
  }

  [Symbol.dispose](): void {
    execFileSync("umount", [this.path], { stdio: "pipe" });
    rmdirSync(this.path);
  }
}

function tryToWrite(file: number, bytes: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(bytes)) === bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") return false;
    throw error;
  }
}
