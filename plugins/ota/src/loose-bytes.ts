import {
  batchesOf,
  type CallOptions,
  type Collection,
  type CollectionSpec,
  type EntityStore,
  type Log,
  type OtaPackageDocument,
  otaPackageCollection,
  type World,
} from "@heddle/plugin-sdk";
import type { PackageBytes } from "./package-bytes.ts";

/** Bytes that may be nobody's: of an upload that runs, or of a package that is being removed. */
interface LooseDocument {
  /** Their `dataId`. */
  readonly id: string;
  readonly packageId: string;
  /** At least as many bytes as there are. */
  readonly size: number;
  /** ms since the epoch: from then on nobody works on them any more. */
  readonly until: number;
}
const looseCollection: CollectionSpec<LooseDocument> = { name: "ota-loose-bytes", id: "id", indexes: [] };

/** Clocks of nodes differ, and a write may take its time. */
const marginMs = 10 * 60_000;
const sweepMs = 10 * 60_000;

interface Deps {
  readonly world: World;
  readonly log: Log;
  readonly entities: EntityStore;
}

/**
 * Sees to it that bytes go when their package does not get them, or goes: they are written down as loose before the first
 * one is stored, and before their package is removed. Every node looks after what others have left behind.
 */
export class LooseBytes {
  readonly #deps: Deps;
  readonly #bytes: PackageBytes;
  readonly #loose: Collection<LooseDocument>;
  readonly #packages: Collection<OtaPackageDocument>;
  readonly #closed = new AbortController();
  #timer: Disposable | undefined;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(deps: Deps, bytes: PackageBytes) {
    this.#deps = deps;
    this.#bytes = bytes;
    this.#loose = deps.entities.collection(looseCollection);
    this.#packages = deps.entities.collection(otaPackageCollection);
  }

  start(): void {
    this.#timer = this.#deps.world.timer(sweepMs, () => {
      this.#sweeping = this.sweep({ signal: this.#closed.signal }).catch((error) => {
        if (!this.#closed.signal.aborted) this.#deps.log.warn("bytes left behind were not looked for", { error });
      });
      this.start();
    });
  }

  /** `forMs`: how long somebody works on them at most. */
  async note(
    { dataId: id, packageId, size, forMs }: { dataId: string; packageId: string; size: number; forMs: number },
    call: CallOptions,
  ): Promise<void> {
    const until = this.#deps.world.now() + forMs + marginMs;
    await this.#loose.put([{ value: { id, packageId, size, until }, expect: "any" }], call);
  }

  /** They are somebody's now. */
  async keep(dataId: string, call: CallOptions): Promise<void> {
    await this.#loose.remove([dataId], call);
  }

  async drop(dataId: string, size: number, call: CallOptions): Promise<void> {
    await this.#bytes.drop(dataId, size, call);
    await this.#loose.remove([dataId], call);
  }

  /** Drops what was left behind; may be done twice, by several nodes at once. */
  async sweep(call: CallOptions): Promise<void> {
    for await (const batch of batchesOf(this.#loose, { until: { lt: this.#deps.world.now() } }, call)) {
      for (const { value } of batch) await this.#settle(value, call);
    }
  }

  async #settle(value: LooseDocument, call: CallOptions): Promise<void> {
    const [owner] = await this.#packages.get([value.packageId], call);
    if (owner?.value.dataId === value.id) return this.keep(value.id, call);
    await this.drop(value.id, value.size, call);
    this.#deps.log.info("bytes that no package has were dropped", { package: value.packageId });
  }

  async stop(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#closed.abort(new Error("the node stops"));
    await this.#sweeping;
  }
}
