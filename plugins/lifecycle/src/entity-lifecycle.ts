import {
  batchesOf,
  type CallOptions,
  type DeviceRegistry,
  type Directory,
  type Draft,
  type EntityData,
  type EntityStore,
  type Lanes,
  type Lifecycle,
  type Log,
  type Plain,
  type Removal,
  type Rules,
  ruleChainCollection,
  type Stored,
  type Telemetry,
  type TenantDocument,
} from "@heddle/plugin-sdk";
import { removalLane } from "./removal-lane.ts";

export interface LifecycleDeps {
  readonly log: Log;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
  readonly telemetry: Telemetry;
  readonly rules: Rules;
  readonly directory: Directory;
  readonly registry: DeviceRegistry;
  readonly data: readonly EntityData[];
}

/** Makes tenants complete and takes entities away completely. */
export class EntityLifecycle implements Lifecycle {
  readonly #deps: LifecycleDeps;
  #consumer: AsyncDisposable | undefined;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    this.#consumer = this.#deps.lanes.consume(removalLane, "lifecycle", (_key, body, turn) =>
      this.#forget(body as unknown as Removal, turn),
    );
  }

  async createTenant(draft: Draft<TenantDocument>, call: CallOptions): Promise<Stored<TenantDocument>> {
    const { directory, rules, registry } = this.#deps;
    const tenant = await directory.saveTenant(draft, call);
    await Promise.all([rules.createRootChain(tenant.value.id, call), registry.defaultProfile(tenant.value.id, call)]);
    return tenant;
  }

  /** The record first: whatever happens from then on, the data goes. */
  async remove(what: Removal, call: CallOptions): Promise<void> {
    await this.#deps.lanes.publish(removalLane, what.tenantId, what as unknown as Plain, call);
    for (const keeper of this.#deps.data) await keeper.hide(what, call);
  }

  async #forget(what: Removal, call: CallOptions): Promise<void> {
    const { data, telemetry } = this.#deps;
    for (const keeper of data) await keeper.hide(what, call);
    for (const keeper of data) await keeper.forget(what, call);
    if (what.entity.entityType === "TENANT") await this.#forgetChains(what.entity.id, call);
    await telemetry.forget(what.tenantId, [what.entity], call);
  }

  async #forgetChains(tenantId: string, call: CallOptions): Promise<void> {
    const { entities, rules } = this.#deps;
    const chains = entities.collection(ruleChainCollection);
    for await (const batch of batchesOf(chains, { tenantId }, call)) {
      await chains.remove(
        batch.map(({ value }) => value.id),
        call,
      );
    }
    await rules.changed(tenantId, call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#consumer?.[Symbol.asyncDispose]();
  }
}
