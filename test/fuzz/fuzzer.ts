import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Dice, mutated } from "./dice.ts";

/** What is searched for inputs that it cannot stand. */
export interface FuzzTarget {
  /** Its folder in `corpus`. */
  readonly name: string;
  /** An input of the right structure, nearly. */
  make(dice: Dice): Buffer;
  /** Throws or rejects when the input shows a defect. */
  check(input: Buffer): void | Promise<void>;
}

export interface FuzzOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly corpus: string;
}

/** `FUZZ_SECONDS` searches longer, and each time elsewhere unless `FUZZ_SEED` says where; without it every run is the same. */
export const usualOptions: FuzzOptions = {
  seconds: Number(process.env["FUZZ_SECONDS"] ?? 1),
  seed: Number(process.env["FUZZ_SEED"] ?? (process.env["FUZZ_SECONDS"] === undefined ? 1 : Date.now() % 1e9)),
  corpus: join(import.meta.dirname, "corpus"),
};

/** An input that takes so long holds up every other device. Far beyond what a busy machine adds. */
const tooSlowMs = 5_000;
const shrinkMs = 2_000;
const turnMs = 50;

/**
 * Tries the corpus, then new inputs and changed ones of the corpus until the time is up; resolves with how many. An input
 * that shows a defect is made smaller, kept in the corpus, and named by the error.
 */
export async function fuzz(target: FuzzTarget, options = usualOptions): Promise<number> {
  const folder = join(options.corpus, target.name);
  mkdirSync(folder, { recursive: true });
  const known = readdirSync(folder).sort();
  const seeds = known.map((file) => readFileSync(join(folder, file)));
  for (const [i, seed] of seeds.entries()) {
    const defect = await defectOf(target, seed);
    if (defect !== undefined) throw new Error(`${target.name}: ${known[i]}: ${defect.message}`, { cause: defect });
  }
  const dice = new Dice(options.seed);
  const end = performance.now() + options.seconds * 1_000;
  let tried = 0;
  for (let rested = performance.now(); performance.now() < end; tried++) {
    const change = seeds.length > 0 && dice.chance(0.3);
    const input = change ? mutated(dice.pick(seeds), dice.pick(seeds), dice) : target.make(dice);
    const defect = await defectOf(target, input);
    if (defect !== undefined) throw await found({ target, folder, seed: options.seed }, input, defect);
    if (performance.now() - rested < turnMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    rested = performance.now();
  }
  return tried;
}

async function found(
  at: { readonly target: FuzzTarget; readonly folder: string; readonly seed: number },
  input: Buffer,
  defect: Error,
): Promise<Error> {
  const small = await smaller(at.target, input);
  const file = join(at.folder, `crash-${createHash("sha256").update(small).digest("hex").slice(0, 12)}`);
  writeFileSync(file, small);
  return new Error(`${at.target.name}, seed ${at.seed}: ${defect.message}\nkept: ${file}`, { cause: defect });
}

/** Leaves out what the defect does not need, in ever smaller pieces, until nothing can go. */
async function smaller(target: FuzzTarget, input: Buffer): Promise<Buffer> {
  const end = performance.now() + shrinkMs;
  let bytes = input;
  for (let size = Math.ceil(bytes.length / 2); size > 0 && performance.now() < end; ) {
    const before = bytes.length;
    for (let at = 0; at < bytes.length && performance.now() < end; ) {
      const without = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]);
      if ((await defectOf(target, without)) === undefined) at += size;
      else bytes = without;
    }
    if (bytes.length === before) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return bytes;
}

async function defectOf(target: FuzzTarget, input: Buffer): Promise<Error | undefined> {
  const began = performance.now();
  try {
    await target.check(Buffer.from(input));
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
  const took = performance.now() - began;
  return took < tooSlowMs ? undefined : new Error(`${input.length} bytes took ${Math.round(took)} ms`);
}
