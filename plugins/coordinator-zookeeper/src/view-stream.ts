import type { View } from "@heddle/plugin-sdk";
import { type Gate, gate } from "./gate.ts";

/** The newest view for readers of any speed; one that is too slow skips. */
export class ViewStream {
  #newest: View | undefined;
  #ended = false;
  #changed: Gate = gate();

  get newest(): View | undefined {
    return this.#newest;
  }

  push(view: View): void {
    this.#newest = view;
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *read(signal: AbortSignal): AsyncIterable<View> {
    const stopped = gate();
    signal.addEventListener("abort", stopped.open, { once: true });
    try {
      for (let seen: View | undefined; !this.#ended && !signal.aborted; ) {
        const view = this.#newest;
        if (view === seen || view === undefined) await Promise.race([this.#changed.opened, stopped.opened]);
        else {
          seen = view;
          yield view;
        }
      }
    } finally {
      signal.removeEventListener("abort", stopped.open);
    }
  }

  #wake(): void {
    const { open } = this.#changed;
    this.#changed = gate();
    open();
  }
}
