import { MemoryEntityStore } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { StoredUserSettings } from "./user-settings.ts";

const call = { signal: new AbortController().signal };
const general = { userId: "u", type: "GENERAL" };

describe("settings of users (rest-semantics 17.4)", () => {
  const make = () => new StoredUserSettings(new MemoryEntityStore());

  it("are empty at first, and merge member by member, with dots into objects", async () => {
    const settings = make();
    expect(await settings.get(general, call)).toEqual({});
    await settings.merge(general, { a: { b: 1 }, x: "y" }, call);
    await settings.merge(general, { a: { d: 3 } }, call);
    await settings.merge(general, { "a.b": 7, "n.m": [1] }, call);
    expect(await settings.get(general, call)).toEqual({ a: { b: 7, d: 3 }, x: "y", n: { m: [1] } });
  });

  it("lose what is named, and nothing else", async () => {
    const settings = make();
    await settings.merge(general, { a: { b: 1, d: 3 }, x: "y" }, call);
    await settings.remove(general, ["a.b", "x", "none", "x.y.z"], call);
    expect(await settings.get(general, call)).toEqual({ a: { d: 3 } });
    await settings.replace(general, { only: [1, 2] }, call);
    expect(await settings.get(general, call)).toEqual({ only: [1, 2] });
  });

  it("are each user's own, by type, and go with the user", async () => {
    const settings = make();
    await settings.merge(general, { a: 1 }, call);
    await settings.merge({ userId: "u", type: "QUICK_LINKS" }, { b: 1 }, call);
    expect(await settings.get({ userId: "v", type: "GENERAL" }, call)).toEqual({});
    await settings.forget(["u"], call);
    expect(await settings.get(general, call)).toEqual({});
  });

  it("keep every change of many at once, and have a bound", async () => {
    const settings = make();
    await Promise.all(Array.from({ length: 5 }, (_, at) => settings.merge(general, { [`k${at}`]: at }, call)));
    expect(Object.keys(await settings.get(general, call))).toHaveLength(5);
    await expect(settings.merge(general, { big: "x".repeat(256 * 1024) }, call)).rejects.toThrow("more than 262144");
  });

  it("never reach what every object has", async () => {
    const settings = make();
    await settings.merge(general, JSON.parse('{"__proto__.polluted":1,"constructor.prototype.polluted":1}'), call);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});
