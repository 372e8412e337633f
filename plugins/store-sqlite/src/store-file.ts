import type { Health, Log, Metric, World } from "@heddle/plugin-sdk";
import { isFault } from "@heddle/plugin-sdk";
import { WorkerLink } from "@heddle/sqlite-driver";
import { fault, faultOf } from "./faults.ts";
import type { Declaration, Written } from "./protocol.ts";
import type { WorkerOptions } from "./worker.ts";

export interface StoreConfig {
  readonly file: string;
  readonly maxCalls: number;
  readonly cacheBytes: number;
  readonly maxBytes?: number;
}

export interface StoreParts {
  readonly world: Pick<World, "timer" | "elapsed">;
  readonly log: Log;
  readonly metrics: Readonly<Record<"commitSeconds" | "batchWrites" | "waitingCalls", Metric>>;
}

const pageBytes = 4096;
/** How often a store that cannot be written tries whether it can again. */
const probeMs = 1_000;

/** The file and the worker thread that owns it; both stores talk through it. */
export class StoreFile {
  readonly config: StoreConfig;
  readonly #parts: StoreParts;
  readonly #declarations = new Map<string, Declaration>();
  #link: WorkerLink | undefined;
  #starting: Promise<void> | undefined;
  /** Why the last write failed; undefined after one that did not. */
  #trouble: string | undefined;
  #probe: Disposable | undefined;

  constructor(config: StoreConfig, parts: StoreParts) {
    this.config = config;
    this.#parts = parts;
  }

  /** Both stores start it; it opens once. */
  start(signal: AbortSignal): Promise<void> {
    this.#starting ??= this.#open(signal).catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  async stop(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    this.#starting = undefined;
    this.#probe?.[Symbol.dispose]();
    await link?.close();
  }

  health(): Health {
    if (this.#link === undefined) return { state: "down", detail: `${this.config.file} is not open` };
    if (this.#link.lost !== undefined) return { state: "down", detail: this.#link.lost };
    return this.#trouble === undefined ? { state: "up" } : { state: "degraded", detail: this.#trouble };
  }

  /** Collections may be declared before the file is open. */
  declare(declaration: Declaration): void {
    const known = this.#declarations.get(declaration.name);
    if (known !== undefined) {
      if (JSON.stringify(known) === JSON.stringify(declaration)) return;
      throw fault("store.invalid", `collection ${declaration.name} is declared in two ways`);
    }
    this.#declarations.set(declaration.name, declaration);
    if (this.#link !== undefined) this.#sendDeclaration(this.#link, declaration);
  }

  read(op: string, arg: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#opened().call(op, arg, signal);
  }

  async write(op: string, arg: unknown, signal: AbortSignal): Promise<unknown> {
    const link = this.#opened();
    try {
      const { value, commit } = (await link.call(op, arg, signal)) as Written;
      if (commit !== undefined) {
        this.#parts.metrics.commitSeconds.record(commit.seconds);
        this.#parts.metrics.batchWrites.record(commit.writes);
        this.#parts.metrics.waitingCalls.record(link.depth);
      }
      this.#settled(undefined);
      return value;
    } catch (error) {
      if (isFault(error) && error.kind === "unavailable") this.#settled(error.message);
      throw error;
    }
  }

  #opened(): WorkerLink {
    if (this.#link === undefined) throw fault("store.unavailable", `${this.config.file} is not open`);
    return this.#link;
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { file, maxCalls, maxBytes = 0 } = this.config;
    const suffix = import.meta.url.endsWith(".ts") ? "ts" : "js";
    this.#link = await WorkerLink.open(
      {
        url: new URL(`./worker.${suffix}`, import.meta.url),
        data: { file, maxPages: Math.floor(maxBytes / pageBytes) } satisfies WorkerOptions,
        maxCalls,
        world: this.#parts.world,
        fault: (trouble) => faultOf(trouble, file),
        greet: async (call) => {
          await call("open", undefined);
          // Ones that come meanwhile are met, too.
          for (const declaration of this.#declarations.values()) await call("declare", declaration);
        },
        changed: (lost) => this.#changed(lost),
      },
      signal,
    );
  }

  #changed(lost: string | undefined): void {
    if (lost === undefined) this.#parts.log.info("the store is open again");
    else this.#parts.log.error("the store was lost and will be opened again", { trouble: lost });
  }

  /** Later calls come after it; its own failure shows in them too. */
  #sendDeclaration(link: WorkerLink, declaration: Declaration): void {
    link.call("declare", declaration).catch((error: Error) => {
      // The next worker is told when it is greeted.
      if (link.lost !== undefined) return;
      this.#parts.log.error("a collection cannot be used", { collection: declaration.name, trouble: error.message });
    });
  }

  #settled(trouble: string | undefined): void {
    const before = this.#trouble;
    this.#trouble = trouble;
    const { log, world } = this.#parts;
    if (trouble === undefined) {
      if (before === undefined) return;
      log.info("the store is writable again");
      this.#probe?.[Symbol.dispose]();
    } else if (before === undefined) {
      log.error("the store cannot be written", { trouble });
      this.#probe = world.timer(probeMs, () => this.#tryAgain());
    }
  }

  /** Without it a store that nobody writes to would not see that it can be written again. */
  async #tryAgain(): Promise<void> {
    if (this.#trouble === undefined || this.#link === undefined) return;
    const stopped = this.#link;
    await stopped.call("probe", undefined).then(
      () => this.#settled(undefined),
      () => undefined,
    );
    if (this.#trouble !== undefined && this.#link === stopped) {
      this.#probe = this.#parts.world.timer(probeMs, () => this.#tryAgain());
    }
  }
}
