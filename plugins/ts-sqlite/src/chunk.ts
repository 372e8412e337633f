import { deflateRawSync, inflateRawSync } from "node:zlib";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { isText, kind, type Points } from "./points.ts";

/*
 * flags, count, kinds (one byte when all are equal, else 0xff and one each), timestamps, then the values kind by kind.
 * Timestamps are deltas of deltas, integers are deltas, doubles with few decimals are scaled to integers.
 */
const deflated = 1;
const rawTimes = 2;
const mixedKinds = 0xff;
const rawNumbers = 0xff;
/** Differences of two such integers still fit a `signed`. */
const exactInteger = 2 ** 50;
const maxDecimals = 6;
/** Below this a deflated body saves less than its decoding costs. */
const deflateFrom = 192;

const writer = new ByteWriter();

export function encodeChunk(points: Points): Uint8Array {
  const count = points.ts.length;
  const raw = points.ts.some((ts) => Math.abs(ts) > exactInteger / 2);
  writer.byte(raw ? rawTimes : 0);
  writer.varint(count);
  const first = points.kinds[0] as number;
  const uniform = points.kinds.every((code) => code === first);
  if (uniform) writer.byte(first);
  else {
    writer.byte(mixedKinds);
    for (const code of points.kinds) writer.byte(code);
  }
  writeTimes(points.ts, raw);
  let noisy = raw;
  for (const code of uniform ? [first] : [...new Set(points.kinds)].sort((a, b) => a - b)) {
    const values = uniform ? points.values : points.values.filter((_, at) => points.kinds[at] === code);
    noisy = writeValues(code, values) || noisy;
  }
  const body = writer.take();
  return noisy && body.length >= deflateFrom ? deflateBody(body) : body;
}

function deflateBody(body: Buffer): Uint8Array {
  const packed = deflateRawSync(body.subarray(1), { level: 3 });
  if (packed.length > body.length * 0.8) return body;
  return Buffer.concat([Buffer.of((body[0] as number) | deflated), packed]);
}

function writeTimes(times: readonly number[], raw: boolean): void {
  let before = 0;
  let step = 0;
  for (const ts of times) {
    if (raw) writer.float(ts);
    else {
      writer.signed(ts - before - step);
      step = before === 0 ? 0 : ts - before;
      before = ts;
    }
  }
}

/** True when the bytes are worth deflating. */
function writeValues(code: number, values: readonly (number | string)[]): boolean {
  if (isText(code)) {
    for (const value of values) writer.text(value as string);
    return true;
  }
  const numbers = values as readonly number[];
  const decimals = decimalsOf(numbers, code === kind.double ? maxDecimals : 0);
  writer.byte(decimals);
  if (decimals === rawNumbers) {
    for (const value of numbers) writer.float(value);
    return true;
  }
  const scale = 10 ** decimals;
  let before = 0;
  for (const value of numbers) {
    const scaled = Math.round(value * scale);
    writer.signed(scaled - before);
    before = scaled;
  }
  return false;
}

/** The fewest decimals that keep every number exactly, or `rawNumbers`. */
function decimalsOf(numbers: readonly number[], most: number): number {
  let decimals = 0;
  let scale = 1;
  for (const value of numbers) {
    if (Object.is(value, -0) || !(Math.abs(value) <= exactInteger)) return rawNumbers;
    while (Math.round(value * scale) / scale !== value) {
      if (++decimals > most) return rawNumbers;
      scale = 10 ** decimals;
    }
    if (Math.abs(value * scale) > exactInteger) return rawNumbers;
  }
  for (const value of numbers) if (Math.abs(value * scale) > exactInteger) return rawNumbers;
  return decimals;
}

export function decodeChunk(stored: Uint8Array): Points {
  const flags = stored[0] as number;
  const bytes = Buffer.from(stored.buffer, stored.byteOffset + 1, stored.byteLength - 1);
  const reader = new ByteReader((flags & deflated) === 0 ? bytes : inflateRawSync(bytes));
  const count = reader.varint();
  const first = reader.byte();
  const kinds: number[] = [];
  for (let at = 0; at < count; at++) kinds.push(first === mixedKinds ? reader.byte() : first);
  const ts = readTimes(reader, count, (flags & rawTimes) !== 0);
  if (first !== mixedKinds) return { ts, kinds, values: readValues(reader, first, count) };
  const values: (number | string)[] = new Array(count);
  for (const code of [...new Set(kinds)].sort((a, b) => a - b)) {
    const places = [...kinds.keys()].filter((at) => kinds[at] === code);
    readValues(reader, code, places.length).forEach((value, at) => {
      values[places[at] as number] = value;
    });
  }
  return { ts, kinds, values };
}

function readTimes(reader: ByteReader, count: number, raw: boolean): number[] {
  const times: number[] = [];
  let before = 0;
  let step = 0;
  for (let at = 0; at < count; at++) {
    const ts = raw ? reader.float() : before + step + reader.signed();
    step = before === 0 ? 0 : ts - before;
    before = ts;
    times.push(ts);
  }
  return times;
}

function readValues(reader: ByteReader, code: number, count: number): (number | string)[] {
  const values: (number | string)[] = [];
  if (isText(code)) {
    for (let at = 0; at < count; at++) values.push(reader.text());
    return values;
  }
  const decimals = reader.byte();
  if (decimals === rawNumbers) {
    for (let at = 0; at < count; at++) values.push(reader.float());
    return values;
  }
  const scale = 10 ** decimals;
  let scaled = 0;
  for (let at = 0; at < count; at++) {
    scaled += reader.signed();
    values.push(scaled / scale);
  }
  return values;
}
