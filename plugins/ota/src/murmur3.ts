/**
 * MurmurHash3 by Austin Appleby (public domain), seed 0, fed piece by piece. Sums of 64 bits are kept as halves of 32:
 * a BigInt per block would cost ten times as much.
 */
export interface Hash {
  update(bytes: Uint8Array): void;
  /** The bytes of the sum, least significant first. */
  digest(): Buffer;
}

const rotl32 = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

/** Collects whole blocks; what is left over waits for more. */
abstract class Blocks implements Hash {
  readonly #size: number;
  readonly #rest: Buffer;
  #waiting = 0;
  protected length = 0;

  constructor(size: number) {
    this.#size = size;
    this.#rest = Buffer.alloc(size);
  }

  update(bytes: Uint8Array): void {
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.length += data.length;
    let at = 0;
    if (this.#waiting > 0) {
      at = data.copy(this.#rest, this.#waiting);
      this.#waiting += at;
      if (this.#waiting < this.#size) return;
      this.block(this.#rest, 0);
    }
    for (; at + this.#size <= data.length; at += this.#size) this.block(data, at);
    this.#waiting = data.copy(this.#rest, 0, at);
  }

  digest(): Buffer {
    return this.end(this.#rest.fill(0, this.#waiting), this.#waiting);
  }

  protected abstract block(data: Buffer, at: number): void;
  /** `rest` is filled up with zeros. */
  protected abstract end(rest: Buffer, size: number): Buffer;
}

export class Murmur3Of32 extends Blocks {
  #h = 0;

  constructor() {
    super(4);
  }

  protected block(data: Buffer, at: number): void {
    this.#h = (Math.imul(rotl32(this.#h ^ mix(data.readInt32LE(at)), 13), 5) + 0xe6546b64) | 0;
  }

  protected end(rest: Buffer, size: number): Buffer {
    let h = this.#h;
    if (size > 0) h ^= mix(rest.readInt32LE(0));
    h ^= this.length;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    const out = Buffer.alloc(4);
    out.writeInt32LE(h ^ (h >>> 16));
    return out;
  }
}

const mix = (k: number): number => Math.imul(rotl32(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593);

/** A number of 64 bits that changes in place. */
class Long {
  high: number;
  low: number;

  constructor(high = 0, low = 0) {
    this.high = high | 0;
    this.low = low | 0;
  }

  xor({ high, low }: Long): this {
    this.high ^= high;
    this.low ^= low;
    return this;
  }

  add({ high, low }: Long): this {
    const sum = (this.low >>> 0) + (low >>> 0);
    this.high = (this.high + high + (sum > 0xffffffff ? 1 : 0)) | 0;
    this.low = sum | 0;
    return this;
  }

  times({ high, low }: Long): this {
    const carry = highProduct(this.low, low);
    this.high = (Math.imul(this.high, low) + Math.imul(this.low, high) + carry) | 0;
    this.low = Math.imul(this.low, low);
    return this;
  }

  rotl(by: number): this {
    const [high, low] = by < 32 ? [this.high, this.low] : [this.low, this.high];
    const rest = by & 31;
    this.high = rest === 0 ? high : (high << rest) | (low >>> (32 - rest));
    this.low = rest === 0 ? low : (low << rest) | (high >>> (32 - rest));
    return this;
  }

  /** `this ^ (this >>> 33)`. */
  fold(): this {
    this.low ^= this.high >>> 1;
    return this;
  }
}

/** The upper half of the product of two numbers of 32 bits; no step exceeds 32 bits. */
function highProduct(a: number, b: number): number {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  return (a1 * b1 + (middle >>> 16) + (other >>> 16)) | 0;
}

const c1 = new Long(0x87c37b91, 0x114253d5);
const c2 = new Long(0x4cf5ad43, 0x2745937f);
const five = new Long(0, 5);
const add1 = new Long(0, 0x52dce729);
const add2 = new Long(0, 0x38495ab5);
const final1 = new Long(0xff51afd7, 0xed558ccd);
const final2 = new Long(0xc4ceb9fe, 0x1a85ec53);

/** The variant for 64-bit machines. */
export class Murmur3Of128 extends Blocks {
  readonly #h1 = new Long();
  readonly #h2 = new Long();
  readonly #k = new Long();

  constructor() {
    super(16);
  }

  protected block(data: Buffer, at: number): void {
    this.#h1.xor(this.#first(data, at)).rotl(27).add(this.#h2).times(five).add(add1);
    this.#h2.xor(this.#second(data, at)).rotl(31).add(this.#h1).times(five).add(add2);
  }

  #first(data: Buffer, at: number): Long {
    return this.#read(data, at).times(c1).rotl(31).times(c2);
  }

  #second(data: Buffer, at: number): Long {
    return this.#read(data, at + 8)
      .times(c2)
      .rotl(33)
      .times(c1);
  }

  #read(data: Buffer, at: number): Long {
    this.#k.low = data.readInt32LE(at);
    this.#k.high = data.readInt32LE(at + 4);
    return this.#k;
  }

  protected end(rest: Buffer, _size: number): Buffer {
    const [h1, h2] = [copy(this.#h1), copy(this.#h2)];
    // Zeros change nothing: a short rest needs no special case.
    h2.xor(this.#second(rest, 0));
    h1.xor(this.#first(rest, 0));
    const length = new Long(Math.floor(this.length / 2 ** 32), this.length % 2 ** 32);
    h1.xor(length);
    h2.xor(length);
    h1.add(h2);
    h2.add(h1);
    for (const h of [h1, h2]) h.fold().times(final1).fold().times(final2).fold();
    h1.add(h2);
    h2.add(h1);
    const out = Buffer.alloc(16);
    for (const [at, { high, low }] of [h1, h2].entries()) {
      out.writeInt32LE(low, at * 8);
      out.writeInt32LE(high, at * 8 + 4);
    }
    return out;
  }
}

const copy = ({ high, low }: Long): Long => new Long(high, low);
