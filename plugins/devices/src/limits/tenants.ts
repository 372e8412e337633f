import {
  type ApiUsage,
  type ApiUsageDocument,
  apiUsageCollection,
  type CallOptions,
  type Collection,
  type EntityStore,
  isFault,
  type Log,
  putOne,
  type TenantDocument,
  type TenantProfileDocument,
  tenantCollection,
  tenantProfileCollection,
  type UsageState,
  type World,
} from "@heddle/plugin-sdk";
import { TenantTerms } from "./tenant-terms.ts";

/** Changes of a tenant's profile, and usage on other nodes, are known here so much later at the most. */
const refreshMs = 3_000;
/** Tenants read at a time. */
const pageSize = 500;
const mostAttempts = 20;

interface Deps {
  readonly world: World;
  readonly log: Log;
  readonly entities: EntityStore;
}

/** The terms of the tenants whose devices this node serves, kept up to date; what they use is summed up over all nodes. */
export class Tenants implements ApiUsage {
  readonly #deps: Deps;
  readonly #signal: AbortSignal;
  readonly #terms = new Map<string, TenantTerms>();
  readonly #loading = new Map<string, Promise<void>>();
  #timer: Disposable | undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(deps: Deps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  watch(): void {
    this.#timer = this.#deps.world.timer(refreshMs, () => {
      this.#round = this.#refresh().finally(() => {
        if (!this.#signal.aborted) this.watch();
      });
    });
  }

  /** Writes down what was used last. */
  async close(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    await this.#round;
    await this.#writeDown();
  }

  isKnown(tenantId: string): boolean {
    return this.#terms.has(tenantId);
  }

  /** Nothing is limited before the terms are read: `know` first where that matters. */
  of(tenantId: string): TenantTerms {
    let terms = this.#terms.get(tenantId);
    if (terms === undefined) {
      terms = new TenantTerms();
      this.#terms.set(tenantId, terms);
    }
    return terms;
  }

  /** Resolves when the terms have been read once. */
  async know(tenantId: string, { signal }: CallOptions): Promise<void> {
    let loading = this.#loading.get(tenantId);
    if (loading === undefined) {
      loading = this.#read([tenantId], { signal }).finally(() => this.#loading.delete(tenantId));
      this.#loading.set(tenantId, loading);
    }
    await loading;
  }

  async usageOf(tenantId: string, call: CallOptions): Promise<ApiUsageDocument> {
    const [stored] = await this.#usage.get([tenantId], call);
    return this.#current(tenantId, stored?.value);
  }

  async #refresh(): Promise<void> {
    try {
      await this.#writeDown();
      const used = [...this.#terms].filter(([, terms]) => terms.used).map(([tenantId]) => tenantId);
      for (let from = 0; from < used.length; from += pageSize) {
        await this.#read(used.slice(from, from + pageSize), { signal: this.#signal });
      }
    } catch (error) {
      if (!this.#signal.aborted) this.#deps.log.warn("terms of tenants not read", { error });
    }
  }

  async #read(tenantIds: readonly string[], call: CallOptions): Promise<void> {
    const { entities } = this.#deps;
    const tenants = await entities.collection<TenantDocument>(tenantCollection).get(tenantIds, call);
    const profileIds = [...new Set(tenants.flatMap((tenant) => tenant?.value.tenantProfileId ?? []))];
    const profiles = await entities.collection<TenantProfileDocument>(tenantProfileCollection).get(profileIds, call);
    const usage = await this.#usage.get(tenantIds, call);
    for (const [i, tenantId] of tenantIds.entries()) {
      const at = profileIds.indexOf(tenants[i]?.value.tenantProfileId ?? "");
      const data = profiles[at]?.value.profileData;
      const terms = this.of(tenantId);
      terms.used = false;
      terms.configure((data?.["configuration"] ?? {}) as Readonly<Record<string, unknown>>);
      terms.disabled = this.#current(tenantId, usage[i]?.value, terms).transportState === "DISABLED";
    }
  }

  get #usage(): Collection<ApiUsageDocument> {
    return this.#deps.entities.collection(apiUsageCollection);
  }

  /** A new month begins at zero. */
  #current(
    tenantId: string,
    stored: ApiUsageDocument | undefined,
    terms = this.#terms.get(tenantId),
  ): ApiUsageDocument {
    const { world } = this.#deps;
    const month = new Date(world.now()).toISOString().slice(0, 7);
    const counts = stored?.month === month ? stored.counts : { transportMessages: 0, transportDataPoints: 0 };
    return {
      id: tenantId,
      stateId: stored?.stateId ?? world.uuid(),
      createdTime: stored?.createdTime ?? world.now(),
      month,
      counts,
      transportState: stateOf(counts, terms?.configuration ?? {}),
    };
  }

  async #writeDown(): Promise<void> {
    for (const [tenantId, terms] of this.#terms) {
      const { messages, points } = terms;
      if (messages === 0) continue;
      terms.messages = terms.points = 0;
      try {
        await this.#add(tenantId, { messages, points });
      } catch (error) {
        // Counted again with the next round.
        terms.messages += messages;
        terms.points += points;
        if (!this.#signal.aborted) this.#deps.log.warn("usage not written down", { tenantId, error });
        return;
      }
    }
  }

  async #add(tenantId: string, { messages, points }: { messages: number; points: number }): Promise<void> {
    const call = { signal: new AbortController().signal };
    for (let attempt = 1; ; attempt++) {
      const [stored] = await this.#usage.get([tenantId], call);
      const now = this.#current(tenantId, stored?.value);
      const counts = {
        transportMessages: now.counts.transportMessages + messages,
        transportDataPoints: now.counts.transportDataPoints + points,
      };
      const transportState = stateOf(counts, this.of(tenantId).configuration);
      try {
        await putOne(
          this.#usage,
          { value: { ...now, counts, transportState }, expect: stored?.version ?? "absent" },
          call,
        );
        return;
      } catch (error) {
        // Another node was faster.
        if (!isFault(error) || error.kind !== "conflict" || attempt === mostAttempts) throw error;
      }
    }
  }
}

/** By the most used of the tenant's limits; 0 is none (rest-semantics 17.11). */
function stateOf(counts: ApiUsageDocument["counts"], configuration: Readonly<Record<string, unknown>>): UsageState {
  const share = (used: number, limit: unknown) => (Number(limit ?? 0) > 0 ? used / Number(limit) : 0);
  const most = Math.max(
    share(counts.transportMessages, configuration["maxTransportMessages"]),
    share(counts.transportDataPoints, configuration["maxTransportDataPoints"]),
  );
  if (most >= 1) return "DISABLED";
  const warn = Number(configuration["warnThreshold"] ?? 0);
  return most >= (warn > 0 ? warn : 0.8) ? "WARNING" : "ENABLED";
}
