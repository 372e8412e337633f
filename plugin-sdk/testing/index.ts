export { attributeStoreCases, describeAttributeStore, typedValues } from "./attribute-store.ts";
export { boundCase, type CacheKit, type CacheUnderTest, cacheCases, describeCache } from "./cache.ts";
export { type CoordinatorKit, describeClusterCoordinator, type TestedCluster } from "./coordinator.ts";
export type { Disk, DiskFile, SyncDisk, SyncDiskFile } from "./disk.ts";
export { describeEntityStore, entityStoreCases } from "./entity-store.ts";
export { FakeOnboarding, FakePackages } from "./fake-services.ts";
export { FakeSession, FakeSessions, fakeIdentity } from "./fake-sessions.ts";
export { describeCases, failingCases, type KitCase, type KitSetup } from "./kit.ts";
export { MemoryAttributeStore } from "./memory/attribute-store.ts";
export { MemoryCache } from "./memory/cache.ts";
export { MemoryCollection, MemoryEntityStore } from "./memory/entity-store.ts";
export { type MemoryQueue, type MemoryQueueClient, type MemoryQueueOptions, memoryQueue } from "./memory/queue.ts";
export { MemoryTimeseriesStore } from "./memory/timeseries-store.ts";
export { ModelledDisk } from "./modelled-disk.ts";
export { describeNeeding } from "./needs.ts";
export { describePeerLink, type PeerLinkKit, type TestedPeers } from "./peer-link.ts";
export { configOf, describePlugin, type PluginKit } from "./plugin.ts";
export { describeQueueBackend, type QueueKit, type TestedQueue } from "./queue-backend.ts";
export { describeRuleNode, exampleMsg, type RuleNodeExample, type RuleNodeKit, ruleNodeCases } from "./rule-node.ts";
export type { StoreKit, StoreUnderTest } from "./store-kit.ts";
export { describeTimeseriesStore, timeseriesStoreCases } from "./timeseries-store.ts";
export {
  describeTransport,
  type TransportClient,
  type TransportKit,
  transportCases,
  transportSetup,
} from "./transport.ts";
export { realWorld, type SteppedWorld, seededRandom, silentLog, steppedWorld } from "./world.ts";
