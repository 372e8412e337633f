const hubs = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Runs `then` once when the signal aborts; returns how to forget it. Many calls usually share one signal, whose own
 * listener list is searched from the front on every change, so each signal gets one listener that fans out.
 */
export function onAbort(signal: AbortSignal, then: () => void): () => void {
  if (signal.aborted) {
    then();
    return () => {};
  }
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

/** `work`, or the signal's reason as soon as it aborts; the outcome of abandoned work is nobody's any more. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const forget = onAbort(signal, () => reject(signal.reason));
    work.then(resolve, reject).finally(forget);
  });
}
