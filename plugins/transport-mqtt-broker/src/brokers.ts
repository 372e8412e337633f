import type { Duplex } from "node:stream";
import {
  type ActorKind,
  type ActorRef,
  type Actors,
  type Application,
  type AttributeStore,
  type CallOptions,
  type Cluster,
  type EntityStore,
  entityKey,
  Fault,
  type Lanes,
  type Log,
  onAbort,
  type Stored,
  type TimeseriesStore,
  type World,
} from "@heddle/plugin-sdk";
import { type WillDocument, willCollection } from "./documents.ts";
import type { Emitted } from "./emitter.ts";
import { ingest } from "./ingest.ts";
import { type BrokerLimits, type Meter, TenantBroker } from "./tenant-broker.ts";

export interface BrokersDeps {
  readonly world: World;
  readonly log: Log;
  readonly actors: Actors;
  readonly cluster: Cluster;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
  readonly attributes: AttributeStore;
  readonly series: TimeseriesStore;
}

/** What nodes tell each other about one tenant; its key is the tenant's id. */
interface BrokerVerbs {
  /** Starts the broker. */
  open(what: null): void;
  deliver(packet: Emitted): void;
  reread(session: { readonly clientId: string }): void;
  /** A node has clients of the tenant, or has none any more. */
  presence(of: { readonly node: string; readonly here: boolean }): void;
  /** Whether this node has clients of the tenant. */
  clients(what: null): boolean;
  kick(who: { readonly applicationId: string; readonly except?: number }): void;
  will(will: WillDocument): Promise<void>;
}

/** Longer than another node takes for anything but dying. */
const peerMs = 5_000;
const lingerMs = 60_000;

/** The brokers of the tenants that this node serves, as actors: started when needed, ended when idle. */
export class Brokers {
  readonly kind: ActorKind<BrokerVerbs>;
  readonly #deps: BrokersDeps;
  readonly #limits: BrokerLimits;
  readonly #meter: Meter;
  readonly #life: string;
  readonly #open = new Map<string, TenantBroker>();
  #end = new AbortController();
  #watch: Disposable | undefined;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(deps: BrokersDeps, limits: BrokerLimits, meter: Meter) {
    this.#deps = deps;
    this.#limits = limits;
    this.#meter = meter;
    this.#life = deps.world.uuid();
    this.kind = {
      kind: "application-broker",
      placement: "node",
      passive: ["deliver", "reread", "presence", "clients", "kick"],
      mailbox: 8_192,
      activate: ({ key }) => this.#activate(key),
    };
  }

  start(): void {
    this.#end = new AbortController();
    this.#watch = this.#deps.cluster.onChange(() => {
      this.#sweeping = this.#sweeping
        .then(() => this.#executeWills())
        .catch((error: unknown) => {
          if (!this.#end.signal.aborted) this.#deps.log.warn("wills of dead nodes not published", { error });
        });
    });
  }

  async stop(): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    this.#end.abort();
    await this.#sweeping;
    await Promise.all([...this.#open.values()].map((broker) => broker.close()));
    this.#open.clear();
  }

  /** The tenant's broker on this node, started if need be. */
  async of(tenantId: string, call: CallOptions): Promise<TenantBroker> {
    for (;;) {
      const open = this.#open.get(tenantId);
      if (open !== undefined) return open;
      await this.#deps.actors.ref(this.kind, tenantId).ask("open", null, call);
    }
  }

  accept(application: Stored<Application>, socket: Duplex, head: Buffer): void {
    const gone = new AbortController();
    const onClose = () => gone.abort();
    socket.once("close", onClose);
    const call = { signal: AbortSignal.any([gone.signal, this.#end.signal]) };
    this.of(application.value.tenantId, call)
      .then((broker) => broker.accept(application, socket, head))
      .catch((error: unknown) => {
        this.#deps.log.warn("application not served", { applicationId: application.value.id, error });
        socket.destroy();
      })
      .finally(() => socket.off("close", onClose));
  }

  /** Closes the connections of an application on every node. */
  async kick(tenantId: string, who: { readonly applicationId: string; readonly except?: number }): Promise<void> {
    await this.#everywhere(this.#deps.cluster.members, tenantId, (broker, call) => broker.ask("kick", who, call));
  }

  async #activate(tenantId: string) {
    const { cluster, lanes, world } = this.#deps;
    const { self } = cluster;
    const present = new Set<string>();
    const others = () => cluster.members.filter((node) => node !== self);
    let usedAt = world.elapsed();
    const broker = new TenantBroker({
      ...this.#deps,
      tenantId,
      limits: this.#limits,
      meter: this.#meter,
      node: self,
      life: this.#life,
      call: { signal: this.#end.signal },
      ingest: (message) => ingest({ lanes, world }, { tenantId, ...message }, { signal: this.#end.signal }),
      elsewhere: (packet) => {
        usedAt = world.elapsed();
        if (present.size === 0) return undefined;
        return this.#everywhere([...present], tenantId, (other, call) => other.ask("deliver", packet, call));
      },
      sessionChanged: (clientId) =>
        this.#everywhere(others(), tenantId, (other, call) => other.ask("reread", { clientId }, call)),
      presence: (here) => {
        for (const node of others()) this.#at(node, tenantId).tell("presence", { node: self, here });
      },
    });
    await broker.open();
    await this.#everywhere(others(), tenantId, async (other, call, node) => {
      if ((await other.ask("clients", null, call)) === true) present.add(node);
    });
    const watch = cluster.onChange(({ members }) => {
      for (const node of present) if (!members.includes(node)) present.delete(node);
      if (broker.clients > 0)
        for (const node of others()) this.#at(node, tenantId).tell("presence", { node: self, here: true });
    });
    this.#open.set(tenantId, broker);
    return {
      open() {},
      deliver: (packet: Emitted) => broker.deliver({ ...packet, payload: Buffer.from(packet.payload) }),
      reread: ({ clientId }: { readonly clientId: string }) => broker.reread(clientId),
      presence({ node, here }: { readonly node: string; readonly here: boolean }) {
        if (here) present.add(node);
        else present.delete(node);
      },
      clients: () => broker.clients > 0,
      kick: ({ applicationId, except }: { readonly applicationId: string; readonly except?: number }) =>
        broker.kick(applicationId, except),
      will: (will: WillDocument) => broker.publishWill(will),
      stays: () => broker.clients > 0 || world.elapsed() - usedAt < lingerMs,
      passivate: async () => {
        watch[Symbol.dispose]();
        this.#open.delete(tenantId);
        await broker.close();
      },
    };
  }

  /** Of clients whose node has died, or has started anew since. */
  async #executeWills(): Promise<void> {
    const { cluster, entities, actors } = this.#deps;
    const call = { signal: this.#end.signal };
    const wills = entities.collection(willCollection);
    const { items } = await wills.find({ limit: 1_000 }, call);
    for (const { value } of items) {
      const { tenantId, node, life } = value;
      const mine = node === cluster.self && life !== this.#life;
      const dead =
        !cluster.members.includes(node) && cluster.owns(entityKey(tenantId, { entityType: "TENANT", id: tenantId }));
      if (!mine && !dead) continue;
      await actors.ref(this.kind, tenantId).ask("will", value, call);
      await wills.remove([value.id], call);
    }
  }

  #at(node: string, tenantId: string) {
    return this.#deps.actors.at(node, this.kind, tenantId);
  }

  /** A node that does not answer is dying: its clients will connect elsewhere, and their sessions be read there. */
  async #everywhere(
    nodes: readonly string[],
    tenantId: string,
    tell: (broker: ActorRef<BrokerVerbs>, call: CallOptions, node: string) => unknown,
  ): Promise<void> {
    const { world, actors, log } = this.#deps;
    if (nodes.length === 0) return;
    const late = new AbortController();
    const forget = onAbort(this.#end.signal, () => late.abort(this.#end.signal.reason));
    const timer = world.timer(peerMs, () => late.abort(new Fault("unavailable", "applications.peer", "no answer")));
    await Promise.all(
      nodes.map(async (node) => {
        try {
          await tell(actors.at(node, this.kind, tenantId), { signal: late.signal }, node);
        } catch (error) {
          log.debug("another node not told", { node, error });
        }
      }),
    );
    timer[Symbol.dispose]();
    forget();
  }
}
