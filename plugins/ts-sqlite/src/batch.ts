/** Bytes of a point without its text: ts, number, series, kind. */
export const pointBytes = 21;
const headBytes = 8;

/** A sealed batch: `count, textBytes, ts[], numbers[], series[], kinds[], texts`; also the body of a log row. */
export interface BatchView {
  readonly count: number;
  readonly ts: Float64Array;
  /** A text's entry is its length in bytes; texts follow each other. */
  readonly numbers: Float64Array;
  /** Link numbers on the way to the worker, stored series ids in the log. */
  readonly series: Uint32Array;
  readonly kinds: Uint8Array;
  readonly texts: Buffer;
}

/** `bytes` must begin at a multiple of 8 of its buffer. */
export function viewBatch(bytes: Uint8Array): BatchView {
  const { buffer, byteOffset } = bytes;
  const [count = 0, textBytes = 0] = new Uint32Array(buffer, byteOffset, 2);
  const at = byteOffset + headBytes;
  return {
    count,
    ts: new Float64Array(buffer, at, count),
    numbers: new Float64Array(buffer, at + 8 * count, count),
    series: new Uint32Array(buffer, at + 16 * count, count),
    kinds: new Uint8Array(buffer, at + 20 * count, count),
    texts: Buffer.from(buffer as ArrayBuffer, at + pointBytes * count, textBytes),
  };
}

/** Collects points by column, without an object for any of them. */
export class BatchBuilder {
  #ts: Float64Array;
  #numbers: Float64Array;
  #series: Uint32Array;
  #kinds: Uint8Array;
  #texts = Buffer.alloc(0);
  #textBytes = 0;
  #count = 0;
  /** `entityType, id, key` of the series whose link numbers this batch is the first to use, in order. */
  readonly defines: string[] = [];

  constructor(room: number) {
    this.#ts = new Float64Array(room);
    this.#numbers = new Float64Array(room);
    this.#series = new Uint32Array(room);
    this.#kinds = new Uint8Array(room);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return headBytes + this.#count * pointBytes + this.#textBytes;
  }

  add(series: number, ts: number, kind: number, number: number): void {
    const at = this.#count++;
    if (at === this.#ts.length) this.#widen();
    this.#ts[at] = ts;
    this.#numbers[at] = number;
    this.#series[at] = series;
    this.#kinds[at] = kind;
  }

  addText(series: number, ts: number, kind: number, text: string): void {
    const most = this.#textBytes + text.length * 3;
    if (most > this.#texts.length) {
      const wider = Buffer.allocUnsafe(Math.max(most, this.#texts.length * 2, 4096));
      this.#texts.copy(wider, 0, 0, this.#textBytes);
      this.#texts = wider;
    }
    const size = this.#texts.write(text, this.#textBytes);
    this.#textBytes += size;
    this.add(series, ts, kind, size);
  }

  seal(): ArrayBuffer {
    const count = this.#count;
    const sealed = new ArrayBuffer(this.bytes);
    new Uint32Array(sealed, 0, 2).set([count, this.#textBytes]);
    const view = viewBatch(new Uint8Array(sealed));
    view.ts.set(this.#ts.subarray(0, count));
    view.numbers.set(this.#numbers.subarray(0, count));
    view.series.set(this.#series.subarray(0, count));
    view.kinds.set(this.#kinds.subarray(0, count));
    view.texts.set(this.#texts.subarray(0, this.#textBytes));
    return sealed;
  }

  #widen(): void {
    const room = Math.max(64, this.#ts.length * 2);
    const widen = <A extends Float64Array | Uint32Array | Uint8Array>(wider: A, old: A): A => {
      wider.set(old);
      return wider;
    };
    this.#ts = widen(new Float64Array(room), this.#ts);
    this.#numbers = widen(new Float64Array(room), this.#numbers);
    this.#series = widen(new Uint32Array(room), this.#series);
    this.#kinds = widen(new Uint8Array(room), this.#kinds);
  }
}
