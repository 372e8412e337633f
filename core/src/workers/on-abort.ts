const hubs = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Runs `then` once when the signal, which has not aborted yet, does; returns how to forget it. Many calls share one
 * signal, so each signal gets one listener: it searches its own list on every change.
 */
export function onAbort(signal: AbortSignal, then: () => void): () => void {
  let hub = hubs.get(signal);
  if (hub === undefined) {
    const fresh = new Set<() => void>();
    hub = fresh;
    hubs.set(signal, fresh);
    const all = () => {
      for (const run of [...fresh]) run();
      fresh.clear();
    };
    signal.addEventListener("abort", all, { once: true });
  }
  const own = hub;
  own.add(then);
  return () => own.delete(then);
}
