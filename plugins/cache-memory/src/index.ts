import { Cache, definePlugin, provide, Type, World } from "@heddle/plugin-sdk";
import { MemoryCache } from "./memory-cache.ts";

export default definePlugin({
  name: "@heddle/cache-memory",
  sdk: "^1.0",
  stability: "beta",
  summary: "A cache in the memory of each node, bounded by entries and time.",
  config: Type.Object(
    { maxEntries: Type.Integer({ default: 100_000, minimum: 1, description: "Entries kept; the least used go." }) },
    { additionalProperties: false },
  ),
  requires: { world: World },
  provides: [Cache],
  register({ container, config, deps }) {
    provide(container, Cache, () => new MemoryCache(config, deps.world));
  },
});
