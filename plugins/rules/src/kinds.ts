import {
  type ActorKind,
  type ActorRef,
  type Actors,
  type Collection,
  Fault,
  type Log,
  type Msg,
  type RuleChainDocument,
  type RuleNode,
  type TenantDocument,
  type World,
} from "@heddle/plugin-sdk";
import type { NodeTypes } from "./node-types.ts";
import { ensureRootChain } from "./root-chain.ts";
import { RoutingTable } from "./routing-table.ts";
import type { AppVerbs, ChainVerbs, NodeVerbs, TenantVerbs } from "./verbs.ts";
import { Walk, WalkTurn } from "./walk.ts";

/** Messages that may be on their way through one tenant, chain or node at once. */
const manyTurns = 65_536;
const deadlineSweepMs = 1_000;

export interface RuleKindsOptions {
  readonly world: World;
  readonly log: Log;
  readonly actors: Actors;
  readonly types: NodeTypes;
  readonly chains: Collection<RuleChainDocument>;
  readonly tenants: Collection<TenantDocument>;
  readonly deadlineMs: number;
  readonly hopLimit: number;
}

/** App, tenant, rule chain and rule node: the actors through which every message goes. */
export class RuleKinds {
  readonly app: ActorKind<AppVerbs>;
  readonly tenant: ActorKind<TenantVerbs>;
  readonly chain: ActorKind<ChainVerbs>;
  readonly node: ActorKind<NodeVerbs>;
  readonly #options: RuleKindsOptions;
  /** Chains that run here, by the key of their actor: their nodes start from it. */
  readonly #running = new Map<string, RuleChainDocument>();

  constructor(options: RuleKindsOptions) {
    this.#options = options;
    this.app = {
      kind: "app",
      placement: "node",
      resident: true,
      activate: () => ({ start: () => this.#startTenants() }),
    };
    this.tenant = {
      kind: "tenant",
      parent: "app",
      placement: "node",
      resident: true,
      concurrency: manyTurns,
      mailbox: manyTurns,
      activate: ({ key, signal }) => this.#activateTenant(key, signal),
    };
    this.chain = {
      kind: "rule-chain",
      parent: "tenant",
      placement: "node",
      resident: true,
      concurrency: manyTurns,
      mailbox: manyTurns,
      activate: ({ key, signal }) => this.#activateChain(key, signal),
    };
    this.node = {
      kind: "rule-node",
      parent: "rule-chain",
      placement: "node",
      resident: true,
      concurrency: manyTurns,
      mailbox: manyTurns,
      activate: ({ key, signal }) => this.#activateNode(key, signal),
    };
  }

  get all(): readonly ActorKind<any>[] {
    return [this.app, this.tenant, this.chain, this.node];
  }

  async #startTenants(): Promise<number> {
    const { tenants, actors } = this.#options;
    const limit = 1_000;
    let started = 0;
    for (let page = 0; ; page++) {
      const found = await tenants.find({ limit, page }, { signal: neverAborts });
      for (const { value } of found.items) {
        actors.ref(this.tenant, value.id).tell("start", null);
        started++;
      }
      if ((page + 1) * limit >= found.total) return started;
    }
  }

  async #activateTenant(tenantId: string, signal: AbortSignal) {
    const { actors, log } = this.#options;
    const [tenant] = await this.#options.tenants.get([tenantId], { signal });
    let chains = new Map<string, { version: number; ref: ActorRef<ChainVerbs> }>();
    let root: ActorRef<ChainVerbs> | undefined;
    const load = async () => {
      // Whoever made the tenant may have died before it made the chain.
      await ensureRootChain(this.#options, tenantId, { signal });
      const found = await this.#options.chains.find({ where: { tenantId, type: "CORE" }, limit: 10_000 }, { signal });
      const next: typeof chains = new Map();
      root = undefined;
      for (const { value, version } of found.items) {
        const key = `${tenantId}/${value.id}`;
        const ref = actors.ref(this.chain, key);
        if (chains.get(value.id)?.version !== version) await actors.stop(this.chain, key);
        next.set(value.id, { version, ref });
        if (value.root) root = ref;
      }
      for (const id of chains.keys()) if (!next.has(id)) await actors.stop(this.chain, `${tenantId}/${id}`);
      chains = next;
      // Chains and nodes live as long as their tenant: they start with it, not with the first message.
      for (const { ref } of chains.values()) {
        void Promise.resolve()
          .then(() => ref.ask("broken", null, { signal }))
          .catch(reported);
      }
    };
    if (tenant !== undefined) await load();
    else log.debug("messages of a tenant that is gone are dropped", { tenantId });
    return {
      start: () => {},
      reload: async () => {
        const [now] = await this.#options.tenants.get([tenantId], { signal });
        if (now === undefined) void actors.stop(this.tenant, tenantId);
        else await load();
      },
      process: (msg: Msg, turn: { signal: AbortSignal; trace: string }) => {
        // A chain that is gone, and a tenant that is: dropped (rule-engine 1.5, runtime 1.6).
        const to = msg.ruleChainId === undefined ? root : chains.get(msg.ruleChainId)?.ref;
        if (to !== undefined) return to.ask("process", msg, turn);
        if (msg.ruleChainId !== undefined || tenant === undefined) return;
        throw new Fault("invalid", "rule.no-root", "No Root Rule Chain available!");
      },
    };
  }

  async #activateChain(key: string, signal: AbortSignal) {
    const { world, actors, chains, deadlineMs, hopLimit } = this.#options;
    const [, chainId = ""] = key.split("/");
    const [stored] = await chains.get([chainId], { signal });
    if (stored === undefined) throw new Fault("missing", "rule.chain", `rule chain ${chainId} does not exist`);
    const chain = stored.value;
    this.#running.set(key, chain);
    const table = new RoutingTable(chain);
    const refs = new Map([...table.nodes.keys()].map((id) => [id, actors.ref(this.node, `${key}/${id}`)]));
    const open = new Set<Walk>();
    const host = {
      hopLimit,
      enter: (node: string, msg: Msg, turn: WalkTurn) =>
        (refs.get(node) as ActorRef<NodeVerbs>).ask("onMsg", { msg, turn }, turn),
      targets: (node: string, relation: string) => table.targets(node, relation),
      branchId: () => world.uuid(),
      onEntered: (walk: Walk) => void open.add(walk),
      onLeft: (walk: Walk) => void open.delete(walk),
    };
    const nameOf = (id: string) => table.nodes.get(id)?.name ?? id;
    const sweep = () => {
      const now = world.elapsed();
      for (const walk of open) {
        if (now - walk.startedAt < deadlineMs) break;
        walk.expire(deadlineMs, nameOf);
      }
      timer = world.timer(deadlineSweepMs, sweep);
    };
    let timer = world.timer(deadlineSweepMs, sweep);
    return {
      process: (msg: Msg, { signal, trace }: { signal: AbortSignal; trace: string }) => {
        const start = msg.ruleNodeId ?? table.firstNode;
        if (start === undefined || !refs.has(start)) return;
        const walk = new Walk(host, new WalkTurn(signal, trace), { hops: msg.hops ?? 0, startedAt: world.elapsed() });
        const { relations } = msg;
        if (msg.ruleNodeId === undefined || relations === undefined) return walk.run((w) => w.enter(start, msg));
        return walk.run((w) =>
          w.leave(
            start,
            relations.map((relation) => ({ relation, msg })),
          ),
        );
      },
      broken: async () => {
        const reasons: Record<string, string> = {};
        for (const [id, ref] of refs) {
          const reason = await ref.ask("start", null, { signal });
          if (reason !== "") reasons[id] = reason;
        }
        return reasons;
      },
      passivate: () => {
        timer[Symbol.dispose]();
        this.#running.delete(key);
      },
    };
  }

  /** A node that cannot start does not stop its chain: what reaches it fails with the reason. */
  async #activateNode(key: string, signal: AbortSignal) {
    const [tenantId = "", ruleChainId = "", id = ""] = key.split("/");
    const chain = this.#running.get(`${tenantId}/${ruleChainId}`);
    const document = chain?.nodes.find((node) => node.id === id);
    if (document === undefined)
      throw new Fault("missing", "rule.node", `rule node ${id} is not in chain ${ruleChainId}`);
    const log = this.#options.log.child("node");
    let node: RuleNode | undefined;
    let reason = "";
    try {
      node = this.#options.types.create(document, { tenantId, ruleChainId, log });
      await node.start?.(signal);
    } catch (error) {
      reason = (error as Error).message;
      log.warn("rule node not started", { ruleChain: chain?.name, ruleNode: document.name, error });
    }
    const broken = new Fault("invalid", "rule.node-broken", `Rule Node is not active! Failed to initialize. ${reason}`);
    return {
      onMsg: ({ msg, turn }: { msg: Msg; turn: WalkTurn }) => {
        if (node === undefined || reason !== "") throw broken;
        return node.onMsg(msg, turn);
      },
      start: () => reason,
      passivate: async () => {
        await node?.[Symbol.asyncDispose]?.();
      },
    };
  }
}

/** Why a chain did not start has been logged by its actor. */
function reported(): void {}

const neverAborts = new AbortController().signal;
