import type { PluginContext, Startable, World } from "@heddle/plugin-sdk";
import type { Containers } from "./containers.ts";
import type { Unit } from "./graph.ts";

export type AnyContext = PluginContext<any, any, any>;

/** Starts one unit and undoes it; keeps what it has begun, so that undoing fits also after half a start. */
export class UnitLife {
  readonly unit: Unit;
  readonly #containers: Containers;
  readonly #context: (signal: AbortSignal) => AnyContext;
  readonly #begun: Startable[] = [];
  #hooked = false;

  constructor(unit: Unit, containers: Containers, context: (signal: AbortSignal) => AnyContext) {
    this.unit = unit;
    this.#containers = containers;
    this.#context = context;
  }

  register(signal: AbortSignal): void {
    this.unit.plugin.register(this.#context(signal));
  }

  /** Each provided object, in the order of `provides`, then the plugin's own hook. */
  async start(signal: AbortSignal): Promise<void> {
    this.#hooked = true;
    for (const object of this.#provided()) {
      signal.throwIfAborted();
      this.#begun.push(object);
      await object.start?.(signal);
    }
    signal.throwIfAborted();
    await this.unit.plugin.start?.(this.#context(signal));
  }

  /** The plugin's own hook, then its objects in reverse; every step is tried, and `failed` hears of those that fail. */
  async stop(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    if (!this.#hooked) return;
    this.#hooked = false;
    const attempt = async (step: () => PromiseLike<void> | undefined) => {
      try {
        await step();
      } catch (error) {
        failed(error);
      }
    };
    await attempt(() => this.unit.plugin.stop?.(this.#context(signal)));
    for (const object of this.#begun.splice(0).toReversed()) {
      await attempt(() => object[Symbol.asyncDispose]?.());
    }
  }

  #provided(): readonly Startable[] {
    const values = (this.unit.plugin.provides ?? []).flatMap((one) => this.#containers.values(this.unit.id, one));
    const objects = values.filter((value) => typeof value === "object" && value !== null);
    return [...new Set(objects)] as Startable[];
  }
}

export interface Patience extends Disposable {
  /** Resolves with undefined when nobody need be waited for any longer; never before the signal aborts. */
  readonly over: Promise<undefined>;
}

/** For callees that should heed a signal and may not: waits `ms` beyond its abort. */
export function patience(signal: AbortSignal, ms: number, world: World): Patience {
  let timer: Disposable | undefined;
  let begin = () => {};
  const over = new Promise<undefined>((resolve) => {
    begin = () => {
      timer = world.timer(ms, () => resolve(undefined));
    };
  });
  if (signal.aborted) begin();
  else signal.addEventListener("abort", begin, { once: true });
  return {
    over,
    [Symbol.dispose]: () => {
      signal.removeEventListener("abort", begin);
      timer?.[Symbol.dispose]();
    },
  };
}
