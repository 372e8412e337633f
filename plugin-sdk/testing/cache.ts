import assert from "node:assert/strict";
import type { Cache } from "../src/index.ts";
import { describeCases, type KitCase } from "./kit.ts";
import { call, refuseAborted } from "./store-kit.ts";

export interface CacheUnderTest extends AsyncDisposable {
  readonly cache: Cache;
  /** Lets this much of the cache's time go by. */
  pass(ms: number): Promise<void>;
}

export interface CacheKit {
  create(): Promise<CacheUnderTest>;
  /** Entries that the cache certainly does not keep at once; undefined when it is bounded elsewhere. */
  readonly beyondBound?: number;
}

type Case = KitCase<CacheUnderTest>;
const long = 60_000;

export const cacheCases: readonly Case[] = [
  {
    name: "get answers in the order of the keys, undefined on a miss",
    run: async ({ cache }) => {
      await cache.set(
        [
          { key: "a", value: 1, ttlMs: long },
          { key: "b", value: { list: ["x", null] }, ttlMs: long },
        ],
        call,
      );
      assert.deepEqual(await cache.get(["b", "none", "a"], call), [{ list: ["x", null] }, undefined, 1]);
    },
  },
  {
    name: "a value is gone when its time has passed, and not before",
    run: async ({ cache, pass }) => {
      await cache.set(
        [
          { key: "short", value: 1, ttlMs: 200 },
          { key: "long", value: 2, ttlMs: long },
        ],
        call,
      );
      assert.deepEqual(await cache.get(["short"], call), [1]);
      await pass(250);
      assert.deepEqual(await cache.get(["short", "long"], call), [undefined, 2]);
    },
  },
  {
    name: "setting again replaces value and time",
    run: async ({ cache, pass }) => {
      await cache.set([{ key: "a", value: 1, ttlMs: 200 }], call);
      await cache.set([{ key: "a", value: 2, ttlMs: long }], call);
      await pass(250);
      assert.deepEqual(await cache.get(["a"], call), [2]);
    },
  },
  {
    name: "dropped values are gone; dropping what is not there is fine",
    run: async ({ cache }) => {
      await cache.set(
        [
          { key: "a", value: 1, ttlMs: long },
          { key: "b", value: 2, ttlMs: long },
        ],
        call,
      );
      await cache.drop(["a", "none"], call);
      assert.deepEqual(await cache.get(["a", "b"], call), [undefined, 2]);
    },
  },
  {
    name: "calls with an aborted signal reject with its reason",
    run: async ({ cache }) => {
      await refuseAborted(
        (call) => cache.get(["a"], call),
        (call) => cache.set([], call),
        (call) => cache.drop(["a"], call),
      );
    },
  },
];

/** The case that a bounded cache passes and a leaking one does not. */
export const boundCase = (entries: number): Case => ({
  name: "it is bounded: old entries go",
  run: async ({ cache }) => {
    const keys = Array.from({ length: entries }, (_, at) => `k${at}`);
    for (const key of keys) await cache.set([{ key, value: key, ttlMs: long }], call);
    const found = await cache.get(keys, call);
    assert.ok(found.some((value) => value === undefined));
    assert.equal(found[entries - 1], `k${entries - 1}`);
  },
});

/** The specification of `Cache`. */
export function describeCache(name: string, kit: CacheKit): void {
  const bound = kit.beyondBound === undefined ? [] : [boundCase(kit.beyondBound)];
  describeCases(`${name}: cache`, [...cacheCases, ...bound], () => kit.create());
}
