import {
  type ActorKind,
  type Actors,
  type CallOptions,
  type Cluster,
  decodeRuleRecord,
  type EntityStore,
  type Lanes,
  type Log,
  type RuleNodeProvider,
  type Rules,
  ruleChainCollection,
  ruleLane,
  tenantCollection,
  type World,
} from "@heddle/plugin-sdk";
import { RuleKinds } from "./kinds.ts";
import { NodeTypes } from "./node-types.ts";
import { ensureRootChain } from "./root-chain.ts";

interface Deps {
  readonly world: World;
  readonly log: Log;
  readonly actors: Actors;
  readonly lanes: Lanes;
  readonly cluster: Cluster;
  readonly entities: EntityStore;
  readonly nodes: readonly (readonly RuleNodeProvider[])[];
}

/** Takes messages from the durable lane to the chains of their tenant. */
export class RuleEngine implements Rules {
  readonly kinds: RuleKinds;
  readonly #deps: Deps;
  #consumer: AsyncDisposable | undefined;
  #watch: Disposable | undefined;
  #started = false;

  constructor(deps: Deps, config: { readonly deadline: number; readonly hopLimit: number }) {
    this.#deps = deps;
    this.kinds = new RuleKinds({
      ...deps,
      types: new NodeTypes(deps.nodes),
      chains: deps.entities.collection(ruleChainCollection),
      tenants: deps.entities.collection(tenantCollection),
      deadlineMs: config.deadline,
      hopLimit: config.hopLimit,
    });
  }

  get actorKinds(): readonly ActorKind<any>[] {
    return this.kinds.all;
  }

  async start(): Promise<void> {
    const { actors, lanes, cluster } = this.#deps;
    const { tenant } = this.kinds;
    this.#consumer = lanes.consume(ruleLane, "rules", (_key, body, turn) => {
      const msg = decodeRuleRecord(body as Uint8Array);
      return actors.ref(tenant, msg.tenantId).ask("process", msg, turn) as Promise<void> | void;
    });
    this.#watch = cluster.onChange(() => this.#startApp());
  }

  /** The App actor wakes the tenants as soon as this node takes part. */
  #startApp(): void {
    if (this.#started) return;
    this.#started = true;
    this.#deps.actors.ref(this.kinds.app, "").tell("start", null);
  }

  async createRootChain(tenantId: string, call: CallOptions): Promise<string> {
    const chains = this.#deps.entities.collection(ruleChainCollection);
    const { id, made } = await ensureRootChain({ chains, world: this.#deps.world }, tenantId, call);
    if (made) await this.changed(tenantId, call);
    return id;
  }

  async changed(tenantId: string, _call: CallOptions): Promise<void> {
    const { actors, cluster } = this.#deps;
    for (const node of cluster.members) actors.at(node, this.kinds.tenant, tenantId).tell("reload", null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    await this.#consumer?.[Symbol.asyncDispose]();
  }
}
