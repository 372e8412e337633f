import type { View } from "@heddle/plugin-sdk";

/** The newest view for a reader of any speed: what it was too slow for is skipped, an older one never follows a newer. */
export class ViewStream {
  #newest: View | undefined;
  #wake: (() => void) | undefined;

  push(view: View): void {
    if (this.#newest !== undefined && !newer(view, this.#newest)) return;
    this.#newest = view;
    this.#wake?.();
  }

  async *iterate(signal: AbortSignal): AsyncGenerator<View> {
    let seen: View | undefined;
    const wake = () => this.#wake?.();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        const view = this.#newest;
        if (view !== undefined && view !== seen) {
          seen = view;
          yield view;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }
}

/** Of two views of one epoch the one in which more members have drained further is the newer. */
function newer(view: View, than: View): boolean {
  if (view.epoch !== than.epoch) return view.epoch > than.epoch;
  const sum = (v: View) => v.members.reduce((total, { drained }) => total + drained, 0);
  return sum(view) > sum(than);
}
