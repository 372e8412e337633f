import { Double, Json, type Value } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { WriteClock } from "./clock.ts";
import { codeOf, faultOf } from "./faults.ts";
import { each, Gate } from "./gate.ts";
import { Lru } from "./lru.ts";
import { contactPointsOf } from "./settings.ts";
import { decodeValue, encodeValue } from "./value-blob.ts";

const live = new AbortController().signal;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("values as cells", () => {
  const values: Value[] = [
    true,
    false,
    0,
    -0,
    1,
    -1,
    4_294_967_296,
    -4_294_967_297,
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
    1.5e300,
    5n,
    9_223_372_036_854_775_807n,
    -9_223_372_036_854_775_808n,
    2n ** 70n,
    0.1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    new Double(25),
    "",
    "ü’😀",
    new Json('{"b":1.0}'),
  ];
  it.each(values)("%s comes back as it was", (value) => {
    expect(decodeValue(encodeValue(value))).toStrictEqual(value);
  });

  it("an unknown kind is an error, not a wrong value", () => {
    expect(() => decodeValue(Buffer.of(99))).toThrow(/unknown kind 99/);
  });
});

describe("write timestamps", () => {
  it("grow with every call, also when the clock stands still or goes back", () => {
    let now = 1_700_000_000_000;
    const clock = new WriteClock({ now: () => now });
    const seen = [clock.next(), clock.next()];
    now -= 5_000;
    seen.push(clock.next());
    now += 10_000;
    seen.push(clock.next());
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(now * 1_000);
    expect(seen.every(Number.isSafeInteger)).toBe(true);
  });
});

describe("the gate", () => {
  it("lets so many in, and the others in order as places become free", async () => {
    const gate = new Gate(2);
    expect([gate.tryEnter(), gate.tryEnter(), gate.tryEnter()]).toEqual([true, true, false]);
    const entered: number[] = [];
    for (const name of [1, 2, 3]) void gate.wait(live).then(() => entered.push(name));
    gate.leave();
    await turn();
    expect(entered).toEqual([1]);
    expect(gate.tryEnter()).toBe(false);
    gate.leave();
    gate.leave();
    await turn();
    expect(entered).toEqual([1, 2, 3]);
    gate.leave();
    expect(gate.tryEnter()).toBe(true);
  });

  it("forgets who gives up", async () => {
    const gate = new Gate(1);
    gate.tryEnter();
    const given = new AbortController();
    const waiting = gate.wait(live, given.signal);
    given.abort(new Error("given up"));
    await expect(waiting).rejects.toThrow("given up");
    expect(gate.waiting).toBe(0);
    gate.leave();
    expect(gate.tryEnter()).toBe(true);
    await expect(gate.wait(AbortSignal.abort(new Error("before")))).rejects.toThrow("before");
  });
});

describe("each", () => {
  it("runs no more than so many at once, all of them", async () => {
    let running = 0;
    let most = 0;
    const done: number[] = [];
    await each([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      most = Math.max(most, ++running);
      await turn();
      running--;
      done.push(item);
    });
    expect(most).toBe(3);
    expect(done).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it("begins nothing after a failure, and throws it when what runs has ended", async () => {
    const ended: number[] = [];
    const all = each([1, 2, 3, 4], 2, async (item) => {
      if (item === 1) throw new Error("first");
      await turn();
      ended.push(item);
    });
    await expect(all).rejects.toThrow("first");
    expect(ended).toEqual([2]);
  });
});

it("the least recently used go first", () => {
  const lru = new Lru<number>(3);
  for (const [at, name] of ["a", "b", "c"].entries()) lru.set(name, at);
  lru.get("a");
  lru.set("d", 3);
  expect([lru.get("a"), lru.get("b"), lru.get("c"), lru.get("d"), lru.size]).toEqual([0, undefined, 2, 3, 3]);
});

it("contact points come as a list, a text, or both", () => {
  expect(contactPointsOf({ contactPoints: ["a:1, b:2", "c:3"] })).toEqual(["a:1", "b:2", "c:3"]);
  expect(contactPointsOf({ contactPoints: "a:1,,b:2" })).toEqual(["a:1", "b:2"]);
});

describe("faults", () => {
  const named = (name: string, more = {}) => Object.assign(new Error("it says why."), { name, ...more });
  it.each([
    [named("OperationTimedOutError"), "store.timeout"],
    [named("AuthenticationError"), "store.denied"],
    [named("ResponseError", { code: 0x1000 }), "store.unavailable"],
    [named("ResponseError", { code: 0x1100 }), "store.timeout"],
    [named("ResponseError", { code: 0x0100 }), "store.denied"],
    [named("ResponseError", { code: 0x2000 }), "store.internal"],
    [named("Error", { code: "ECONNREFUSED" }), "store.unavailable"],
    [named("NoHostAvailableError", { innerErrors: {} }), "store.unavailable"],
    [named("NoHostAvailableError", { innerErrors: { h: named("AuthenticationError") } }), "store.denied"],
    [named("NoHostAvailableError", { innerErrors: { h: named("OperationTimedOutError") } }), "store.timeout"],
    [new TypeError("a defect"), "store.internal"],
  ])("%s is %s", (error, code) => {
    expect(codeOf(error)).toBe(code);
  });

  it("name the purpose, each host's answer and what was configured", () => {
    const error = named("NoHostAvailableError", {
      innerErrors: { "10.0.0.1:9042": named("Error", { code: "EPIPE" }) },
    });
    expect(faultOf(error, "read points", "contact points x; timeout 5 ms")).toMatchObject({
      code: "store.unavailable",
      kind: "unavailable",
      message: "read points: 10.0.0.1:9042: it says why (contact points x; timeout 5 ms)",
    });
  });
});
