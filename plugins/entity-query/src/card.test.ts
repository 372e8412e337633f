import { AttributeStore, EntityStore, TimeseriesStore } from "@heddle/plugin-sdk";
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
    [EntityStore.id, new MemoryEntityStore()],
    [AttributeStore.id, new MemoryAttributeStore()],
    [TimeseriesStore.id, new MemoryTimeseriesStore(realWorld())],
  ]),
});
