import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Duplex } from "node:stream";
import {
  type ActorKind,
  type Actors,
  type Application,
  type ApplicationDocument,
  type Applications,
  applicationCollection,
  applicationPrefix,
  type CallOptions,
  type Cluster,
  type Collection,
  change,
  type EntityStore,
  Fault,
  invalid,
  type Log,
  type MqttApplications,
  type Page,
  putOne,
  type Query,
  requireText,
  type Stored,
  takenFields,
  type World,
} from "@heddle/plugin-sdk";
import type { Brokers } from "./brokers.ts";
import { type FeedDocument, feedCollection } from "./documents.ts";
import { badFilter } from "./topics.ts";

export interface ApplicationsDeps {
  readonly world: World;
  readonly log: Log;
  readonly actors: Actors;
  readonly cluster: Cluster;
  readonly entities: EntityStore;
}

interface DirectoryVerbs {
  /** The applications of a tenant have changed. */
  changed(tenantId: string): Promise<void>;
}

const passwordBytes = 24;
const mostFilters = 100;
const pageSize = 1_000;
const reloadMs = 30_000;
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

type Draft = Parameters<Applications["save"]>[0];

/** Applications of tenants, and on every node which tenants have any. */
export class StoredApplications implements Applications, MqttApplications {
  readonly kind: ActorKind<DirectoryVerbs>;
  readonly #deps: ApplicationsDeps;
  readonly #brokers: Brokers;
  /** Applications of one tenant. */
  readonly #most: number;
  readonly #documents: Collection<ApplicationDocument>;
  readonly #feed: Collection<FeedDocument>;
  /** Calls it, maybe again, when this node has to read for applications. */
  readonly #needed: () => void;
  /** Creation of its oldest application, by tenant. */
  readonly #tenants = new Map<string, number>();
  #end = new AbortController();
  #reload: Disposable | undefined;

  constructor(deps: ApplicationsDeps, brokers: Brokers, more: { readonly most: number; needed(): void }) {
    this.#deps = deps;
    this.#brokers = brokers;
    this.#most = more.most;
    this.#needed = () => more.needed();
    this.#feed = deps.entities.collection(feedCollection);
    this.#documents = deps.entities.collection(applicationCollection);
    this.kind = {
      kind: "application-directory",
      placement: "node",
      activate: () => ({
        changed: async (tenantId: string) => {
          await this.#readTenant(tenantId);
          this.#needed();
        },
      }),
    };
  }

  async open(signal: AbortSignal): Promise<void> {
    this.#end = new AbortController();
    await this.#readAll({ signal });
    this.#reloadLater();
  }

  close(): void {
    this.#reload?.[Symbol.dispose]();
    this.#end.abort();
  }

  servedSince(tenantId: string): number | undefined {
    return this.#tenants.get(tenantId);
  }

  async authenticate(
    { userName, password }: { readonly userName: string; readonly password: string },
    call: CallOptions,
  ): Promise<Stored<Application> | undefined> {
    const id = userName.slice(applicationPrefix.length);
    if (!userName.startsWith(applicationPrefix) || !uuid.test(id)) return undefined;
    const [found] = await this.#documents.get([id], call);
    if (found === undefined || !found.value.enabled) return undefined;
    const [given, kept] = [hashOf(password), found.value.passwordHash].map((hash) => Buffer.from(hash, "hex")) as [
      Buffer,
      Buffer,
    ];
    return timingSafeEqual(given, kept) ? shown(found) : undefined;
  }

  accept(application: Stored<Application>, connection: Duplex, head: Buffer): void {
    this.#brokers.accept(application, connection, head);
  }

  async get(id: string, call: CallOptions): Promise<Stored<Application> | undefined> {
    const [found] = await this.#documents.get([id], call);
    return found === undefined ? undefined : shown(found);
  }

  async find(query: Query, call: CallOptions): Promise<Page<Application>> {
    const { items, total } = await this.#documents.find(query, call);
    return { items: items.map(shown), total };
  }

  async save(draft: Draft, call: CallOptions) {
    requireText("name", draft.name);
    for (const filter of [...(draft.publish ?? []), ...(draft.subscribe ?? [])]) {
      const why = badFilter(filter);
      if (why !== undefined) throw invalid(`'${filter.slice(0, 100)}': ${why}`);
    }
    if (Math.max(draft.publish?.length ?? 0, draft.subscribe?.length ?? 0) > mostFilters)
      throw invalid(`at most ${mostFilters} topic filters each to publish and to subscribe`);
    try {
      return draft.id === undefined ? await this.#create(draft, call) : await this.#change(draft.id, draft, call);
    } catch (error) {
      if (takenFields(error)?.includes("name") !== true) throw error;
      throw new Fault("invalid", "record.name-taken", "Application with such name already exists!", { cause: error });
    }
  }

  async renew(id: string, call: CallOptions): Promise<string> {
    const password = drawPassword();
    const to = ({ value }: Stored<ApplicationDocument>) => ({ ...value, passwordHash: hashOf(password) });
    const changed = await change(this.#documents, { id, kind: "Application", to }, call);
    if (changed === undefined) throw missing(id);
    await this.#kick(changed.after.value.tenantId, id);
    return password;
  }

  async remove(id: string, call: CallOptions): Promise<void> {
    const [found] = await this.#documents.get([id], call);
    if (found === undefined) throw missing(id);
    await this.#documents.remove([id], call);
    await this.#tell(found.value.tenantId, call);
    await this.#kick(found.value.tenantId, id);
  }

  /** Those of a tenant that is deleted. */
  async removeAll(tenantId: string, call: CallOptions): Promise<void> {
    for (;;) {
      const { items } = await this.#documents.find({ where: { tenantId }, limit: pageSize }, call);
      if (items.length === 0) break;
      for (const { value } of items) await this.remove(value.id, call);
    }
  }

  async #create(draft: Draft, call: CallOptions) {
    const { world } = this.#deps;
    const { total } = await this.#documents.find({ where: { tenantId: draft.tenantId }, limit: 1 }, call);
    if (total >= this.#most)
      throw new Fault("denied", "applications.limit", `a tenant has at most ${this.#most} applications`);
    await this.#feed.put([{ value: { id: "began" }, expect: "any" }], call);
    const password = drawPassword();
    const value = { ...content(draft), id: world.uuid(), createdTime: world.now(), passwordHash: hashOf(password) };
    const stored = await putOne(this.#documents, { value, expect: "absent" }, call);
    await this.#tell(draft.tenantId, call);
    return { application: shown(stored), password };
  }

  async #change(id: string, draft: Draft, call: CallOptions) {
    const to = ({ value }: Stored<ApplicationDocument>) => {
      if (value.tenantId !== draft.tenantId) throw missing(id);
      const { createdTime, passwordHash } = value;
      return { ...content(draft), id, createdTime, passwordHash };
    };
    const changed = await change(this.#documents, { id, kind: "Application", version: draft.version, to }, call);
    if (changed === undefined) throw missing(id);
    await this.#kick(draft.tenantId, id, changed.after.version);
    return { application: shown(changed.after) };
  }

  async #kick(tenantId: string, applicationId: string, except?: number): Promise<void> {
    await this.#brokers.kick(tenantId, { applicationId, ...(except === undefined ? {} : { except }) });
  }

  async #tell(tenantId: string, call: CallOptions): Promise<void> {
    const { cluster, actors, log } = this.#deps;
    await Promise.all(
      cluster.members.map(async (node) => {
        try {
          await actors.at(node, this.kind, "all").ask("changed", tenantId, call);
        } catch (error) {
          log.warn("another node not told of an application", { node, error });
        }
      }),
    );
  }

  async #readTenant(tenantId: string): Promise<void> {
    const query = { where: { tenantId }, sort: { by: "createdTime", order: "asc" } as const, limit: 1 };
    const [oldest] = (await this.#documents.find(query, { signal: this.#end.signal })).items;
    if (oldest === undefined) this.#tenants.delete(tenantId);
    else this.#tenants.set(tenantId, oldest.value.createdTime);
  }

  async #readAll(call: CallOptions): Promise<void> {
    const seen = new Map<string, number>();
    for (let page = 0; ; page++) {
      const sort = { by: "id", order: "asc" } as const;
      const { items } = await this.#documents.find({ sort, page, limit: pageSize }, call);
      for (const { value } of items)
        seen.set(value.tenantId, Math.min(value.createdTime, seen.get(value.tenantId) ?? value.createdTime));
      if (items.length < pageSize) break;
    }
    for (const tenantId of this.#tenants.keys()) if (!seen.has(tenantId)) this.#tenants.delete(tenantId);
    for (const [tenantId, since] of seen) this.#tenants.set(tenantId, since);
    if ((await this.#feed.get(["began"], call))[0] !== undefined) this.#needed();
  }

  /** A node that was not told learns it by itself. */
  #reloadLater(): void {
    this.#reload = this.#deps.world.timer(reloadMs, () => {
      this.#readAll({ signal: this.#end.signal }).then(undefined, (error: unknown) => {
        if (!this.#end.signal.aborted) this.#deps.log.warn("applications not read", { error });
      });
      this.#reloadLater();
    });
  }
}

const everything = ["#"];
const content = ({ tenantId, name, enabled, publish, subscribe, additionalInfo }: Draft) => ({
  tenantId,
  name: name.trim(),
  enabled: enabled ?? true,
  publish: publish ?? everything,
  subscribe: subscribe ?? everything,
  additionalInfo: additionalInfo ?? null,
});
const shown = ({ value: { passwordHash: _, ...value }, version }: Stored<ApplicationDocument>) => ({ value, version });
const hashOf = (password: string) => createHash("sha256").update(password).digest("hex");
const drawPassword = () => randomBytes(passwordBytes).toString("base64url");
const missing = (id: string) => new Fault("missing", "record.missing", `Application with id [${id}] is not found`);
