import {
  batchesOf,
  type CallOptions,
  type CollectionSpec,
  type EntityData,
  type EntityStore,
  type Removal,
} from "@heddle/plugin-sdk";
import type { StoredApplications } from "./applications.ts";
import { queuedCollection, retainedCollection, sessionCollection, willCollection } from "./documents.ts";

/** What goes with a deleted tenant. */
export class TenantData implements EntityData {
  readonly #entities: EntityStore;
  readonly #applications: StoredApplications;

  constructor(entities: EntityStore, applications: StoredApplications) {
    this.#entities = entities;
    this.#applications = applications;
  }

  async hide({ entity }: Removal, call: CallOptions): Promise<void> {
    if (entity.entityType === "TENANT") await this.#applications.removeAll(entity.id, call);
  }

  async forget({ entity: { entityType, id: tenantId } }: Removal, call: CallOptions): Promise<void> {
    if (entityType !== "TENANT") return;
    await this.#forgetAll(queuedCollection, tenantId, call);
    await this.#forgetAll(retainedCollection, tenantId, call);
    await this.#forgetAll(sessionCollection, tenantId, call);
    await this.#forgetAll(willCollection, tenantId, call);
  }

  async #forgetAll<T extends { readonly id: string }>(
    spec: CollectionSpec<T>,
    tenantId: string,
    call: CallOptions,
  ): Promise<void> {
    const documents = this.#entities.collection(spec);
    for await (const batch of batchesOf(documents, { tenantId }, call))
      await documents.remove(
        batch.map(({ value }) => value.id),
        call,
      );
  }
}
