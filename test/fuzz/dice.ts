import { seededRandom } from "@heddle/plugin-sdk/testing";

/** Chance from a seed, in the shapes that inputs are made of. */
export class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** An integer from 0 to, not including, `limit`. */
  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** Up to `most` things. */
  some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** Mostly short, at times as long as it may be. */
  length(most: number): number {
    return this.chance(0.9) ? this.below(Math.min(most, 12)) : this.below(most + 1);
  }
}

/** What broke readers before: limits of lengths, signs, encodings, and names that objects already have. */
const telling = [
  Buffer.from([0x00]),
  Buffer.from([0x7f]),
  Buffer.from([0x80]),
  Buffer.from([0xff]),
  Buffer.from([0xff, 0xff, 0xff, 0x7f]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from("__proto__"),
  Buffer.from("constructor"),
  Buffer.from("\ufeff"),
  Buffer.from("\u2028"),
];

/** The input with a few small changes; `other` gives pieces of a second one. */
export function mutated(input: Buffer, other: Buffer, dice: Dice): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let rounds = 1 + dice.below(4); rounds > 0; rounds--) bytes = mutation(bytes, other, dice);
  return bytes;
}

function mutation(bytes: Buffer, other: Buffer, dice: Dice): Buffer {
  const at = dice.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + 1 + dice.length(bytes.length));
  const joined = (middle: Uint8Array, rest: number) =>
    Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(rest)]);
  switch (dice.below(7)) {
    case 0:
      if (at < bytes.length) bytes[at] = dice.below(256);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at]! ^= 1 << dice.below(8);
      return bytes;
    case 2:
      return joined(dice.pick(telling), at);
    case 3:
      return joined(Buffer.alloc(0), to);
    case 4:
      return joined(bytes.subarray(at, to), at);
    case 5:
      return joined(other.subarray(dice.below(other.length + 1)), to);
    default:
      return bytes.subarray(0, at);
  }
}
