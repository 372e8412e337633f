import type { InRecord } from "@heddle/plugin-sdk";
import type { Part } from "./catalog.ts";
import type { Disk } from "./disk.ts";
import { decodeRun, entryAt } from "./entry.ts";
import { fault } from "./faults.ts";

/** Bytes fetched at once, and how much of other partitions' records may be fetched with ours to save a call. */
const windowBytes = 1024 * 1024;
const strangers = 4;

/** Reads a part's records from `from` on out of its file; stops at `records` or once past `bytes`. */
export async function loadRecords(
  disk: Disk,
  part: Part,
  want: { readonly from: number; readonly records: number; readonly bytes: number },
): Promise<InRecord[]> {
  const file = await disk.open(part.segment.name, "read");
  try {
    const found: InRecord[] = [];
    let bytes = 0;
    let run = runAt(part, want.from);
    while (run < part.firsts.length && found.length < want.records && bytes < want.bytes) {
      const start = part.offsets[run] as number;
      const last = lastOfWindow(part, run);
      const buffer = Buffer.allocUnsafeSlow((part.ends[last] as number) - start);
      const got = await file.read(buffer, start);
      for (; run <= last; run += 1) {
        const entry = entryAt(buffer.subarray(0, got), (part.offsets[run] as number) - start);
        if (entry === undefined || entry.first !== part.firsts[run]) {
          throw fault(
            "queue.corrupt",
            `${part.segment.name} is damaged at byte ${part.offsets[run]}, which had been durable`,
          );
        }
        bytes += entry.end - entry.payload;
        for (const record of decodeRun(buffer, entry)) {
          if (Number(record.position) >= want.from && found.length < want.records) found.push(record);
        }
      }
    }
    return found;
  } finally {
    await file.close();
  }
}

/** Index of the run that holds `position`. */
function runAt({ firsts }: Part, position: number): number {
  let low = 0;
  let high = firsts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((firsts[middle] as number) <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

function lastOfWindow({ offsets, ends }: Part, run: number): number {
  const start = offsets[run] as number;
  let useful = 0;
  let last = run;
  for (let i = run; i < offsets.length; i += 1) {
    const span = (ends[i] as number) - start;
    useful += (ends[i] as number) - (offsets[i] as number);
    if (i > run && (span > windowBytes || span > useful * strangers + 64 * 1024)) break;
    last = i;
  }
  return last;
}
