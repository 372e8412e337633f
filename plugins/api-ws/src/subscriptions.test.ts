import { Json } from "@heddle/plugin-sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Bench, call, device, foreign, latest, ofAttributes, until } from "../testing/stand-in.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await new Bench({ intervals: 10 }).start();
});
afterEach(() => bench[Symbol.asyncDispose]());
const history = (cmdId: number, more: object) => ({
  ...latest(cmdId),
  type: "TIMESERIES_HISTORY",
  startTs: 0,
  endTs: 100_000,
  ...more,
});
const failure = (cmdId: number, errorCode: number, errorMsg: unknown) => ({
  subscriptionId: cmdId,
  errorCode,
  errorMsg,
  data: null,
  latestValues: {},
});

describe("series", () => {
  it("W-LEG-01 W-LEG-02 W-LEG-03 W-LEG-06 by the legacy wrapper: latest, nothing older, newer, identical, end", async () => {
    await bench.save(1_000, { t: 42 });
    const client = await bench.signedIn("TA", "/api/ws/plugins/telemetry");
    const { type: _, ...cmd } = latest(1);
    client.send({ tsSubCmds: [cmd] });
    expect(await client.next()).toEqual({
      subscriptionId: 1,
      errorCode: 0,
      errorMsg: null,
      data: { t: [[1_000, "42"]] },
      latestValues: { t: 1_000 },
    });
    await bench.save(500, { t: 0 });
    expect(await client.silent()).toBe(true);
    await bench.save(2_000, { t: 43, other: 1 });
    expect(await client.next()).toMatchObject({ data: { t: [[2_000, "43"]] }, latestValues: { t: 2_000 } });
    await bench.save(2_000, { t: 43 });
    expect((await client.next()).data).toEqual({ t: [[2_000, "43"]] });
    client.send({ tsSubCmds: [{ ...cmd, unsubscribe: true }] });
    expect(await client.silent()).toBe(true);
    expect(bench.feeds.open.size).toBe(0);
  });

  it("W-OLD-01 of an unknown key is null, now", async () => {
    const client = await bench.signedIn();
    const before = Date.now();
    const { data, latestValues } = await client.ask(latest(1, "none"));
    const [[ts, value]] = data.none;
    expect(value).toBeNull();
    expect(ts).toBeGreaterThanOrEqual(before);
    expect(latestValues).toEqual({ none: ts });
    await bench.save(1, { none: 5 });
    expect((await client.next()).data).toEqual({ none: [[1, "5"]] });
  });

  it("W-OLD-05 with a window: history, then every live point with its own time", async () => {
    for (const ts of [1_000, 2_000, 3_000]) await bench.save(ts, { t: ts });
    const client = await bench.signedIn();
    const first = await client.ask(latest(1, "t", { startTs: 1_000, timeWindow: 60_000 }));
    expect(first.data.t).toEqual([
      [3_000, "3000"],
      [2_000, "2000"],
      [1_000, "1000"],
    ]);
    await bench.save(1_500, { t: 9 });
    expect((await client.next()).data.t).toEqual([[1_500, "9"]]);
  });

  it("W-OLD-06 are texts, whatever they are", async () => {
    await bench.save(1, { n: 1.5, b: true, s: "x", j: new Json('{"x":1}') });
    const { data } = await (await bench.signedIn()).ask(latest(1, ""));
    expect(data).toEqual({ n: [[1, "1.5"]], b: [[1, "true"]], s: [[1, "x"]], j: [[1, '{"x":1}']] });
  });

  it("W-LEG-07 of the past, in windows: one answer and no subscription", async () => {
    for (const [ts, t] of [
      [100, 1],
      [900, 3],
      [1_200, 5],
    ] as const)
      await bench.save(ts, { t });
    const client = await bench.signedIn();
    const { data } = await client.ask(history(3, { startTs: 0, endTs: 2_000, interval: 1_000, agg: "AVG" }));
    expect(data.t).toEqual([
      [500, expect.stringMatching(/^2(\.0)?$/)],
      [1_500, expect.stringMatching(/^5(\.0)?$/)],
    ]);
    expect(await client.ask(history(4, { limit: 1 }))).toMatchObject({ data: { t: [[1_200, "5"]] } });
    expect((await client.ask(history(5, { keys: "none" }))).data).toEqual({});
    expect(bench.feeds.open.size).toBe(0);
  });

  it("of too many windows are not answered, and not followed", async () => {
    const client = await bench.signedIn();
    client.send({ cmds: [history(1, { interval: 1_000, agg: "AVG" })] });
    client.send({ cmds: [latest(2, "t", { startTs: 0, timeWindow: 100_000, interval: 1_000, agg: "AVG" })] });
    expect(await client.silent()).toBe(true);
    expect(bench.feeds.open.size).toBe(0);
  });

  it("are refused with the texts that clients know", async () => {
    const client = await bench.signedIn();
    const other = { entityId: foreign.id };
    expect(await client.ask(history(1, { entityId: "" }))).toEqual(failure(1, 2, "Device id is empty!"));
    expect(await client.ask(history(2, { keys: "" }))).toEqual(failure(2, 2, "Keys are empty!"));
    expect(await client.ask(latest(3, "t", { entityId: "x" }))).toEqual(failure(3, 1, "Invalid UUID string: x"));
    expect(await client.ask(latest(4, "t", other))).toEqual(failure(4, 1, "Failed to fetch data!"));
    expect(await client.ask(history(5, other))).toEqual(failure(5, 1, "Failed to fetch data!"));
    expect(await (await bench.signedIn("CU")).ask(latest(6))).toEqual(failure(6, 1, "Failed to fetch data!"));
    expect(bench.feeds.open.size).toBe(0);
  });
});

describe("attributes", () => {
  it("W-LEG-04 W-OLD-04 W-OLD-06: those that exist, a change, a removal", async () => {
    await bench.put({ a: 1, b: "x" }, 1_000);
    const client = await bench.signedIn("TA", "/api/ws/plugins/telemetry");
    const { type: _, ...cmd } = ofAttributes(2, "a,b,none");
    client.send({ attrSubCmds: [cmd] });
    expect((await client.next()).data).toEqual({ a: [[1_000, "1"]], b: [[1_000, "x"]] });
    await bench.put({ a: 2, other: 1 }, 2_000);
    expect(await client.next()).toMatchObject({ data: { a: [[2_000, "2"]] }, latestValues: { a: 2_000 } });
    await bench.put({ a: 5 }, 3_000, "SHARED_SCOPE");
    expect(await client.silent()).toBe(true);
    await bench.attributes.remove(device, "SERVER_SCOPE", ["b"], call);
    bench.feeds.tell({ entity: device, scope: "SERVER_SCOPE", changes: [{ key: "b", ts: 0, value: null }] });
    expect(await client.next()).toMatchObject({ data: { b: [[0, ""]] }, latestValues: { b: 0 } });
  });

  it("W-OLD-02 of all scopes for an empty one, none for one that does not exist", async () => {
    await bench.put({ a: 2 }, 1);
    await bench.put({ a: 5, sh: true }, 2, "SHARED_SCOPE");
    const client = await bench.signedIn();
    expect((await client.ask(ofAttributes(1, "a,sh", ""))).data).toEqual({
      a: [
        [1, "2"],
        [2, "5"],
      ],
      sh: [[2, "true"]],
    });
    client.send({ cmds: [ofAttributes(2, "a", "NOPE_SCOPE")] });
    expect(await client.silent()).toBe(true);
  });

  it("W-OLD-03 of another tenant's device are refused, of an unknown device empty", async () => {
    const client = await bench.signedIn("TB");
    expect(await client.ask(ofAttributes(1, "a"))).toEqual(failure(1, 3, "Unauthorized"));
    const unknown = { entityId: "00000000-0000-4000-8000-000000000000" };
    expect(await client.ask(ofAttributes(2, "a", "", unknown))).toMatchObject({ errorCode: 0, data: {} });
    expect(bench.feeds.open.size).toBe(0);
  });
});

describe("the way from the first answer to live updates", () => {
  /** A read that a test holds back after it has looked. */
  const heldRead = () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const state = { looked: false, release };
    const read = bench.series.latest.bind(bench.series);
    bench.series.latest = async (...args) => {
      const found = await read(...args);
      state.looked = true;
      await gate;
      return found;
    };
    return { state, restore: () => (bench.series.latest = read) };
  };

  it("W-02 loses nothing that is saved between subscribing and reading, and says it once", async () => {
    let live = () => {};
    bench.feeds.hold = new Promise((resolve) => {
      live = resolve;
    });
    const client = await bench.signedIn();
    client.send({ cmds: [latest(1)] });
    await until(() => bench.feeds.open.size === 1);
    await bench.save(1_000, { t: 1 });
    live();
    expect((await client.next()).data.t).toEqual([[1_000, "1"]]);
    expect(await client.silent()).toBe(true);
  });

  it("W-02 loses nothing that is saved while the first values are read, also at the same time stamp", async () => {
    await bench.save(1_000, { t: 1 });
    const { state } = heldRead();
    const client = await bench.signedIn();
    client.send({ cmds: [latest(1)] });
    await until(() => state.looked);
    await bench.save(1_000, { t: 2 });
    await bench.save(2_000, { t: 3 });
    state.release();
    for (const point of [
      [1_000, "1"],
      [1_000, "2"],
      [2_000, "3"],
    ])
      expect((await client.next()).data.t).toEqual([point]);
    expect(await client.silent()).toBe(true);
  });

  it("W-02 reads again when updates may have been lost meanwhile: by a move, or because too many were held", async () => {
    const { state, restore } = heldRead();
    const client = await bench.signedIn();
    client.send({ cmds: [latest(1)] });
    await until(() => state.looked);
    restore();
    await bench.series.append([{ entity: device, ts: 5, values: { t: 5 } }], call);
    for (const { on } of bench.feeds.open) on.resync();
    state.release();
    expect((await client.next()).data.t[0][1]).toBeNull();
    expect((await client.next()).data.t).toEqual([[5, "5"]]);
    expect(await client.silent()).toBe(true);
  });

  it("W-02 holds a bounded number of updates and reads the newest when there were more", async () => {
    const { state, restore } = heldRead();
    const client = await bench.signedIn();
    client.send({ cmds: [latest(1, "t")] });
    await until(() => state.looked);
    restore();
    // Only the last is stored: what was held are updates of a key that nobody can tell apart from it.
    for (let n = 0; n < 10_000; n++) for (const { on } of bench.feeds.open) on.deliver({ entity: device, changes: [] });
    await bench.save(7, { t: 7 });
    state.release();
    expect((await client.next()).data.t[0][1]).toBeNull();
    expect((await client.next()).data.t).toEqual([[7, "7"]]);
  });

  it("reads again when the owner has moved, and says only what is new", async () => {
    await bench.save(1, { t: 1 });
    const client = await bench.signedIn();
    await client.ask(latest(1));
    for (const { on } of bench.feeds.open) on.resync();
    expect(await client.silent()).toBe(true);
    await bench.series.append([{ entity: device, ts: 2, values: { t: 2 } }], call);
    for (const { on } of bench.feeds.open) on.resync();
    expect((await client.next()).data.t).toEqual([[2, "2"]]);
  });

  it("takes a second command of the same id in the place of a first one that is still beginning", async () => {
    bench.feeds.hold = new Promise(() => undefined);
    const client = await bench.signedIn();
    client.send({ cmds: [latest(1, "old")] });
    await until(() => bench.feeds.open.size === 1);
    bench.feeds.hold = Promise.resolve();
    expect((await client.ask(latest(1, "t"))).data).toHaveProperty("t");
    expect(await client.silent()).toBe(true);
    expect(bench.feeds.open.size).toBe(1);
    await bench.save(1, { t: 1 });
    expect((await client.next()).data).toEqual({ t: [[1, "1"]] });
  });

  it("ends without an answer when the client leaves or unsubscribes from everything", async () => {
    bench.feeds.hold = new Promise(() => undefined);
    const client = await bench.signedIn();
    client.send({ cmds: [latest(1), latest(2)] });
    await until(() => bench.feeds.open.size === 2);
    client.send({ cmds: [latest(9, "t", { entityId: "", unsubscribe: true })] });
    expect(await client.silent()).toBe(true);
    expect(bench.feeds.open.size).toBe(0);
    client.send({ cmds: [latest(3)] });
    await until(() => bench.feeds.open.size === 1);
    client.socket.terminate();
    await until(() => bench.feeds.open.size === 0);
  });

  it("says that reading failed, and drops the subscription", async () => {
    bench.series.latest = () => Promise.reject(new Error("disk"));
    bench.attributes.get = () => Promise.reject(new Error("disk"));
    const client = await bench.signedIn();
    expect(await client.ask(latest(1))).toEqual(failure(1, 1, "Failed to fetch data!"));
    expect(await client.ask(ofAttributes(2, "a"))).toEqual(failure(2, 1, "Failed to fetch attributes!"));
    expect(bench.feeds.open.size).toBe(0);
  });
});
