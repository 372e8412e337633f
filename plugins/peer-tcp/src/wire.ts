/** A frame is its length, four bytes big endian, and its bytes; this length is the sign of life of a side. */
export const beat = 0xffff_ffff;
export const headBytes = 4;
export const beatWord = Buffer.alloc(headBytes, 0xff);

/** A side that was silent for so many heartbeats of the other is given up. */
export const silentBeats = 5;

/** What has happened since the start; read by the meter. */
export interface Counts {
  framesIn: number;
  framesOut: number;
  bytesIn: number;
  bytesOut: number;
  reconnects: number;
}
export const noCounts = (): Counts => ({ framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0, reconnects: 0 });
