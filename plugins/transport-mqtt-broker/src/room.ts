import type { ActorKind } from "@heddle/plugin-sdk";
import { StoredApplications } from "./applications.ts";
import { Brokers, type BrokersDeps } from "./brokers.ts";
import { feedDevices } from "./device-feed.ts";
import type { BrokerLimits, Meter } from "./tenant-broker.ts";

/** The parts of the plugin, and their beginning and end. */
export class ApplicationRoom {
  readonly applications: StoredApplications;
  readonly kinds: readonly ActorKind<any>[];
  readonly #deps: BrokersDeps;
  readonly #brokers: Brokers;
  #feed: AsyncDisposable | undefined;

  constructor(deps: BrokersDeps, limits: BrokerLimits & { readonly applications: number }, meter: Meter) {
    this.#deps = deps;
    this.#brokers = new Brokers(deps, limits, meter);
    const needed = () => this.#feedDevices();
    this.applications = new StoredApplications(deps, this.#brokers, { most: limits.applications, needed });
    this.kinds = [this.#brokers.kind, this.applications.kind];
  }

  async start(signal: AbortSignal): Promise<void> {
    this.#brokers.start();
    await this.applications.open(signal);
  }

  /** Nothing is read twice where there has never been an application. */
  #feedDevices(): void {
    this.#feed ??= feedDevices({
      lanes: this.#deps.lanes,
      brokers: this.#brokers,
      servedSince: (tenantId) => this.applications.servedSince(tenantId),
    });
  }

  async stop(): Promise<void> {
    await this.#feed?.[Symbol.asyncDispose]();
    this.#feed = undefined;
    this.applications.close();
    await this.#brokers.stop();
  }
}
