import { CassandraSession } from "@heddle/cassandra-driver";
import { dropKeyspaces, freshKeyspace, quietParts, testConfig } from "@heddle/cassandra-driver/testing";
import type { AttributeStore, EntityStore } from "@heddle/plugin-sdk";
import {
  describeAttributeStore,
  describeEntityStore,
  describeNeeding,
  describePlugin,
  type StoreKit,
} from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll } from "vitest";
import { CassandraAttributes } from "../../plugins/store-cassandra/src/cassandra-attributes.ts";
import { CassandraEntities } from "../../plugins/store-cassandra/src/cassandra-entities.ts";
import card from "../../plugins/store-cassandra/src/index.ts";
import { schema } from "../../plugins/store-cassandra/src/tables.ts";
import { sharedService } from "./service.ts";

const call = { signal: new AbortController().signal };

describeNeeding("cassandra", sharedService("cassandra")?.where, (where) => {
  const keyspace = freshKeyspace("store");
  const open = async () => {
    const session = new CassandraSession(testConfig(where, keyspace), quietParts(), schema);
    await session.start(call.signal);
    return session;
  };
  let shared: CassandraSession;
  beforeAll(async () => {
    shared = await open();
  });
  afterAll(async () => {
    await shared.stop();
    await dropKeyspaces(where, [keyspace]);
  });

  /** Each case has names of its own in the shared keyspace; every row has them in its partition key. */
  let cases = 0;
  function kit<S>(make: (session: CassandraSession, prefix: string) => S): StoreKit<S> {
    return {
      supports: { survivesRestart: true },
      create: async () => {
        const prefix = `case${cases++}_`;
        let again: CassandraSession | undefined;
        return {
          store: make(shared, prefix),
          reopen: async () => {
            again = await open();
            return make(again, prefix);
          },
          [Symbol.asyncDispose]: async () => again?.stop(),
        };
      },
    };
  }

  const entities = (session: CassandraSession, prefix: string): EntityStore => {
    const store = new CassandraEntities(session, 100_000);
    return { collection: (spec) => store.collection({ ...spec, name: prefix + spec.name }) };
  };
  const attributes = (session: CassandraSession, prefix: string): AttributeStore => {
    const store = new CassandraAttributes(session);
    const own = <E extends { readonly entityType: string }>(entity: E) => ({
      ...entity,
      entityType: prefix + entity.entityType,
    });
    return {
      get: (entity, scope, keys, call) => store.get(own(entity), scope, keys, call),
      put: (write, call) => store.put({ ...write, entity: own(write.entity) }, call),
      remove: (entity, scope, keys, call) => store.remove(own(entity), scope, keys, call),
      forget: (all, call) => store.forget(all.map(own), call),
    };
  };

  describePlugin(card, { config: { contactPoints: where, keyspace, replication: 1 } });
  describeEntityStore("store-cassandra", kit(entities));
  describeAttributeStore("store-cassandra", kit(attributes));
});
