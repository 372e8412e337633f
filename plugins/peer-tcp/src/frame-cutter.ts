import { beat, headBytes } from "./wire.ts";

/** Cuts a stream of chunks into frames. A frame within a chunk is a view of it; one that spans chunks is copied once. */
export class FrameCutter {
  readonly #limit: number;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #head = Buffer.alloc(headBytes);
  #headFill = 0;
  #body: Buffer | undefined;
  #bodyFill = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Only when `next` has said that the last chunk is used up. */
  feed(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Undefined when more bytes are needed. A number is the length of a frame that is over the limit: the stream is lost. */
  next(): Buffer | number | undefined {
    for (;;) {
      if (this.#body !== undefined) return this.#fillBody(this.#body);
      const length = this.#length();
      if (length === undefined) return undefined;
      if (length === beat) continue;
      if (length > this.#limit) return length;
      const end = this.#at + length;
      if (end <= this.#chunk.length) {
        const frame = this.#chunk.subarray(this.#at, end);
        this.#at = end;
        return frame;
      }
      this.#body = Buffer.allocUnsafeSlow(length);
      this.#bodyFill = 0;
    }
  }

  #fillBody(body: Buffer): Buffer | undefined {
    const end = this.#at + body.length - this.#bodyFill;
    this.#bodyFill += this.#chunk.copy(body, this.#bodyFill, this.#at, end);
    this.#at = Math.min(end, this.#chunk.length);
    if (this.#bodyFill < body.length) return undefined;
    this.#body = undefined;
    return body;
  }

  #length(): number | undefined {
    if (this.#headFill === 0 && this.#chunk.length - this.#at >= headBytes) {
      const length = this.#chunk.readUInt32BE(this.#at);
      this.#at += headBytes;
      return length;
    }
    const copied = this.#chunk.copy(this.#head, this.#headFill, this.#at);
    this.#headFill += copied;
    this.#at += copied;
    if (this.#headFill < headBytes) return undefined;
    this.#headFill = 0;
    return this.#head.readUInt32BE(0);
  }
}
