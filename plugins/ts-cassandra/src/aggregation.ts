import {
  type AggregateFn,
  double,
  numberOf,
  type Value,
  valueText,
  valueType,
  type WindowPoint,
} from "@heddle/plugin-sdk";

/** One window so far. */
interface Window {
  count: number;
  numbers: number;
  /** Whether a double is among the numbers. */
  doubles: boolean;
  sum: number;
  /** The longs' sum; a bigint once it leaves the range in which a number is exact. */
  longs: number | bigint;
  number: Value | undefined;
  text: Value | undefined;
}

/** Windows between neighbouring bounds; points come in ascending order (runtime 12.6). */
export class Aggregation {
  readonly #key: string;
  readonly #fn: AggregateFn;
  readonly #bounds: readonly number[];
  readonly #points: WindowPoint[] = [];
  #at = 0;
  #window = emptyWindow();

  constructor(key: string, fn: AggregateFn, bounds: readonly number[]) {
    this.#key = key;
    this.#fn = fn;
    this.#bounds = bounds;
  }

  add(ts: number, value: Value): void {
    while (ts >= (this.#bounds[this.#at + 1] as number)) this.#close();
    take(this.#window, value, this.#fn);
  }

  result(): readonly WindowPoint[] {
    this.#close();
    return this.#points;
  }

  #close(): void {
    const start = this.#bounds[this.#at] as number;
    const end = this.#bounds[this.#at + 1] as number;
    const window = this.#window;
    this.#at++;
    if (window.count === 0) return;
    this.#window = emptyWindow();
    const ts = start + Math.floor((end - start) / 2);
    this.#points.push({ key: this.#key, ts, value: resultOf(window, this.#fn), count: window.count });
  }
}

const emptyWindow = (): Window => ({
  count: 0,
  numbers: 0,
  doubles: false,
  sum: 0,
  longs: 0,
  number: undefined,
  text: undefined,
});

function take(window: Window, value: Value, fn: AggregateFn): void {
  window.count++;
  if (fn === "COUNT") return;
  const number = numberOf(value);
  if (number === undefined) {
    if (fn === "AVG" || fn === "SUM") return;
    if (window.text === undefined || better(valueText(value), valueText(window.text), fn)) window.text = value;
    return;
  }
  window.numbers++;
  const long = valueType(value) === "LONG";
  if (!long) window.doubles = true;
  if (fn === "AVG" || fn === "SUM") {
    window.sum += number;
    if (long && fn === "SUM") window.longs = plus(window.longs, value as number | bigint);
  } else if (window.number === undefined || better(exact(value), exact(window.number), fn)) window.number = value;
}

function plus(sum: number | bigint, value: number | bigint): number | bigint {
  if (typeof sum === "number" && typeof value === "number") {
    const total = sum + value;
    if (Number.isSafeInteger(total)) return total;
  }
  return BigInt(sum) + BigInt(value);
}

/** Big longs compare as such. */
const exact = (value: Value): number | bigint => (typeof value === "bigint" ? value : (numberOf(value) as number));

const better = (a: number | bigint | string, b: number | bigint | string, fn: AggregateFn): boolean =>
  fn === "MIN" ? a < b : a > b;

function resultOf(window: Window, fn: AggregateFn): Value {
  const { count, numbers, doubles, sum, longs, number, text } = window;
  if (fn === "COUNT") return count;
  if (fn === "AVG") return double(numbers === 0 ? 0 : sum / numbers);
  if (fn === "SUM") return doubles ? double(sum) : longOf(longs);
  // Beside doubles a long is one, too.
  if (number !== undefined) return doubles ? double(numberOf(number) as number) : number;
  return text as Value;
}

/** Sums wrap as 64-bit longs do. */
function longOf(sum: number | bigint): Value {
  const wrapped = BigInt.asIntN(64, BigInt(sum));
  const number = Number(wrapped);
  return Number.isSafeInteger(number) ? number : wrapped;
}
