/** What to run when a signal aborts; one listener per signal, since one call may have many requests under way. */
const watched = new WeakMap<AbortSignal, Set<() => void>>();

/** Runs it once when the signal aborts, unless the returned function was called before. The signal has not aborted yet. */
export function onAbort(signal: AbortSignal, run: () => void): () => void {
  let all = watched.get(signal);
  if (all === undefined) {
    const made = new Set<() => void>();
    watched.set(signal, made);
    signal.addEventListener("abort", () => {
      for (const one of [...made]) one();
      made.clear();
    });
    all = made;
  }
  const set = all;
  set.add(run);
  return () => set.delete(run);
}

/** Settles as the promise does, or rejects with the signal's reason as soon as it aborts. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      promise.catch(() => undefined);
      reject(signal.reason);
      return;
    }
    const off = onAbort(signal, () => reject(signal.reason));
    promise.then(
      (value) => {
        off();
        resolve(value);
      },
      (error: unknown) => {
        off();
        reject(error);
      },
    );
  });
}
