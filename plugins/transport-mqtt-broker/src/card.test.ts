import { Actors, AttributeStore, Cluster, EntityStore, Lanes, TimeseriesStore } from "@heddle/plugin-sdk";
import {
  describePlugin,
  MemoryAttributeStore,
  MemoryEntityStore,
  MemoryTimeseriesStore,
  realWorld,
} from "@heddle/plugin-sdk/testing";
import card from "./index.ts";

describePlugin(card, {
  deps: new Map<string, unknown>([
    [Actors.id, { ref: () => ({ tell() {}, ask: async () => undefined }) }],
    [Cluster.id, { self: "a", members: ["a"], onChange: () => ({ [Symbol.dispose]() {} }) }],
    [Lanes.id, { consume: () => ({ [Symbol.asyncDispose]: async () => {} }) }],
    [EntityStore.id, new MemoryEntityStore()],
    [AttributeStore.id, new MemoryAttributeStore()],
    [TimeseriesStore.id, new MemoryTimeseriesStore(realWorld())],
  ]),
});
