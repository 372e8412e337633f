import { isNumber, isText, kind, type Points } from "./points.ts";

export type Fn = "MIN" | "MAX" | "AVG" | "SUM" | "COUNT";

/** One window's result so far. */
interface Window {
  count: number;
  numbers: number;
  doubles: boolean;
  /** Of longs only while it is a bigint; sums stay exact beyond 2^53. */
  sum: number;
  longs: bigint | undefined;
  best: { kind: number; value: number | string } | undefined;
  text: { kind: number; value: number | string } | undefined;
}

export interface WindowPoint {
  readonly ts: number;
  readonly kind: number;
  readonly value: number | string;
  readonly count: number;
}

/** Windows between neighbouring bounds; points come in ascending order (runtime 12.6). */
export class Aggregation {
  readonly #fn: Fn;
  readonly #bounds: readonly number[];
  readonly #points: WindowPoint[] = [];
  #at = 0;
  #window = emptyWindow();

  constructor(fn: Fn, bounds: readonly number[]) {
    this.#fn = fn;
    this.#bounds = bounds;
  }

  add({ ts, kinds, values }: Points): void {
    for (let at = 0; at < ts.length; at++) {
      while ((ts[at] as number) >= (this.#bounds[this.#at + 1] as number)) this.#close();
      take(this.#window, kinds[at] as number, values[at] as number | string, this.#fn);
    }
  }

  result(): WindowPoint[] {
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
    const value = resultOf(window, this.#fn);
    if (value !== undefined)
      this.#points.push({ ts: start + Math.floor((end - start) / 2), ...value, count: window.count });
  }
}

const emptyWindow = (): Window => ({
  count: 0,
  numbers: 0,
  doubles: false,
  sum: 0,
  longs: 0n,
  best: undefined,
  text: undefined,
});

function take(window: Window, code: number, value: number | string, fn: Fn): void {
  window.count++;
  if (fn === "COUNT") return;
  if (!isNumber(code)) {
    if (fn === "AVG" || fn === "SUM") return;
    const text = textOf(code, value);
    const other = window.text === undefined ? undefined : textOf(window.text.kind, window.text.value);
    if (other === undefined || (fn === "MIN" ? text < other : text > other)) window.text = { kind: code, value };
    return;
  }
  window.numbers++;
  if (code === kind.double) window.doubles = true;
  if (fn === "AVG" || fn === "SUM") return addNumber(window, code, value);
  const best = window.best;
  const less = best === undefined ? true : fn === "MIN" ? smaller(value, best.value) : smaller(best.value, value);
  if (less) window.best = { kind: code, value };
}

function addNumber(window: Window, code: number, value: number | string): void {
  window.sum += Number(value);
  if (code === kind.double) window.longs = undefined;
  else if (window.longs !== undefined) window.longs += BigInt(value);
}

const smaller = (a: number | string, b: number | string): boolean =>
  typeof a === "number" && typeof b === "number" ? a < b : exact(a) < exact(b);

/** Big longs compare as such; a double beside one has no better order than its own. */
const exact = (value: number | string): number | bigint => (typeof value === "string" ? BigInt(value) : value);

const textOf = (code: number, value: number | string): string =>
  isText(code) ? (value as string) : String(value === 1);

/** Beside doubles a long is one, too. */
function bestOf({ best, doubles }: Window): Window["best"] {
  return best === undefined || !doubles ? best : { kind: kind.double, value: Number(best.value) };
}

function resultOf(window: Window, fn: Fn): { kind: number; value: number | string } | undefined {
  if (fn === "COUNT") return { kind: kind.long, value: window.count };
  if (fn === "MIN" || fn === "MAX") return bestOf(window) ?? window.text;
  if (fn === "AVG") return { kind: kind.double, value: window.numbers === 0 ? 0 : window.sum / window.numbers };
  if (window.longs === undefined) return { kind: kind.double, value: window.sum };
  const sum = Number(window.longs);
  if (Number.isSafeInteger(sum)) return { kind: kind.long, value: sum };
  return { kind: kind.bigLong, value: BigInt.asIntN(64, window.longs).toString() };
}
