import type { Socket } from "node:net";
import { beat, headBytes } from "./wire.ts";

const slabBytes = 65_536;
/** Frames up to this size are copied into a slab: cheaper than a vector entry for each. */
const copiedBytes = 8_192;
/** Given to the socket at once; what is behind it waits here, so that room opens in small steps. */
const writeBytes = 524_288;

/** Frames on their way into one socket, one vectored write per turn of the loop. */
export class Outbox {
  readonly #socket: Socket;
  readonly #onRoom: () => void;
  #parts: Uint8Array[] = [];
  #slab = Buffer.allocUnsafeSlow(slabBytes);
  #start = 0;
  #end = 0;
  #queued = 0;
  #writing = 0;
  #due = false;

  /** `onRoom` is called when the system has taken a part of what is queued. */
  constructor(socket: Socket, onRoom: () => void) {
    this.#socket = socket;
    this.#onRoom = onRoom;
  }

  /** Bytes that the system has not taken yet. */
  get queued(): number {
    return this.#queued;
  }

  put(frame: Uint8Array): void {
    const copied = frame.length <= copiedBytes;
    this.#reserve(copied ? headBytes + frame.length : headBytes);
    this.#word(frame.length);
    if (copied) {
      this.#slab.set(frame, this.#end);
      this.#end += frame.length;
    } else {
      this.#seal();
      this.#parts.push(frame);
    }
    this.#queued += frame.length;
    this.#soon();
  }

  /** Says that this side lives; frames that are on their way say it too. */
  beat(): void {
    if (this.#queued > 0) return;
    this.#reserve(headBytes);
    this.#word(beat);
    this.#soon();
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= slabBytes) return;
    this.#seal();
    this.#slab = Buffer.allocUnsafeSlow(slabBytes);
    this.#start = 0;
    this.#end = 0;
  }

  #word(value: number): void {
    this.#end = this.#slab.writeUInt32BE(value, this.#end);
    this.#queued += headBytes;
  }

  #seal(): void {
    if (this.#end > this.#start) this.#parts.push(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #soon(): void {
    if (this.#writing > 0) return;
    // A sender that never lets the loop turn must not fill the queue before the first byte leaves.
    if (this.#queued >= writeBytes) return this.#pump();
    if (this.#due) return;
    this.#due = true;
    setImmediate(this.#pump);
  }

  readonly #pump = (): void => {
    this.#due = false;
    if (this.#writing > 0 || this.#queued === 0 || this.#socket.destroyed) return;
    this.#seal();
    let count = 0;
    while (count < this.#parts.length && this.#writing < writeBytes) {
      this.#writing += (this.#parts[count++] as Uint8Array).length;
    }
    const parts = this.#parts.splice(0, count);
    const last = parts.pop() as Uint8Array;
    if (count > 1) this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.write(last, this.#written);
    if (count > 1) this.#socket.uncork();
  };

  readonly #written = (error?: Error | null): void => {
    if (error) return;
    this.#queued -= this.#writing;
    this.#writing = 0;
    this.#onRoom();
    this.#pump();
  };
}
