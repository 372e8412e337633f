/**
 * Bytes that were received and not read yet: a packet that has not arrived in full, or packets that must wait. Grows by
 * doubling, so that a packet in a thousand pieces is not copied a thousand times.
 */
export class Partial {
  #bytes: Buffer;
  #length: number;

  constructor(first: Buffer) {
    // Not from the shared pool: a few bytes would keep 8 KB of it.
    this.#bytes = Buffer.allocUnsafeSlow(first.length);
    this.#length = first.copy(this.#bytes);
  }

  get length(): number {
    return this.#length;
  }

  get view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  append(more: Buffer): void {
    const length = this.#length + more.length;
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    more.copy(this.#bytes, this.#length);
    this.#length = length;
  }
}
