import { describeCache, steppedWorld } from "@heddle/plugin-sdk/testing";
import { MemoryCache } from "./memory-cache.ts";

describeCache("cache-memory", {
  beyondBound: 51,
  create: async () => {
    const world = steppedWorld();
    const cache = new MemoryCache({ maxEntries: 50 }, world);
    return { cache, pass: world.pass, [Symbol.asyncDispose]: async () => {} };
  },
});
