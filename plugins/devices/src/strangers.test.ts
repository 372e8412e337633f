import { steppedWorld } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { Strangers } from "./strangers.ts";

const { signal } = new AbortController();
const from = (address: string) => ({ transport: "mqtt", address });

describe("wrong credentials", () => {
  it("are counted, and answered the later the more often an address was wrong", async () => {
    const world = steppedWorld();
    const counted: string[] = [];
    const strangers = new Strangers(world, { blockAfter: 0, blockFor: 60_000 }, (transport) => counted.push(transport));
    for (let i = 0; i < 5; i++) await strangers.wrong(from("a"), signal);
    let told = 0;
    const sixth = strangers.wrong(from("a"), signal).then(() => told++);
    await world.settle();
    expect(told).toBe(0);
    // Nobody else waits.
    await strangers.wrong(from("b"), signal);
    await world.pass(100);
    await sixth;
    void strangers.wrong(from("a"), signal).then(() => told++);
    await world.pass(199);
    expect(told).toBe(1);
    await world.pass(1);
    expect(told).toBe(2);
    for (let i = 0; i < 20; i++) void strangers.wrong(from("a"), signal).then(() => told++);
    await world.pass(3_000);
    expect(told).toBe(22);
    expect(counted).toHaveLength(28);
    expect(strangers.isBlocked("a")).toBe(false);
  });

  it("LIM-04 too many of them block the address for a while, where that is wanted", async () => {
    const world = steppedWorld();
    const strangers = new Strangers(world, { blockAfter: 3, blockFor: 60_000 }, () => {});
    for (let i = 0; i < 3; i++) await strangers.wrong(from("a"), signal);
    expect([strangers.isBlocked("a"), strangers.isBlocked("b")]).toEqual([true, false]);
    await world.pass(60_000);
    expect(strangers.isBlocked("a")).toBe(false);
  });

  it("are forgotten after a minute without", async () => {
    const world = steppedWorld();
    const strangers = new Strangers(world, { blockAfter: 0, blockFor: 60_000 }, () => {});
    for (let i = 0; i < 5; i++) await strangers.wrong(from("a"), signal);
    await world.pass(61_000);
    await strangers.wrong(from("a"), signal);
  });
});
