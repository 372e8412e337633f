export { type Batched, CassandraSession, type ResultPage, type Run, type Statement } from "./cassandra-session.ts";
export { WriteClock } from "./clock.ts";
export { ask, type FaultCode, fault, faults, sharedFaults } from "./faults.ts";
export { each } from "./gate.ts";
export { Lru } from "./lru.ts";
export type { SchemaPlan } from "./migrate.ts";
export { type SessionConfig, type SessionParts, sessionFields, sessionMetrics } from "./settings.ts";
export { decodeValue, encodeValue } from "./value-blob.ts";
