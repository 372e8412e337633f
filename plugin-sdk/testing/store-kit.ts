import type { CallOptions } from "../src/index.ts";
import { describeCases, type KitCase } from "./kit.ts";

/** A store as a kit meets it: empty, and with `reopen` if what it acknowledged outlives its process. */
export interface StoreUnderTest<S> extends AsyncDisposable {
  readonly store: S;
  /** Ends the store without warning where that is possible, and opens the same data again. */
  reopen?(): Promise<S>;
}

export interface StoreKit<S> {
  create(): Promise<StoreUnderTest<S>>;
  readonly supports: { readonly survivesRestart: boolean };
}

/** A case that needs `reopen`; only run where restarts are survived. */
export interface StoreCase<S> extends KitCase<StoreUnderTest<S>> {
  readonly restarts?: boolean;
}

export function describeStore<S>(title: string, cases: readonly StoreCase<S>[], kit: StoreKit<S>): void {
  const { survivesRestart } = kit.supports;
  describeCases(
    title,
    cases.filter(({ restarts }) => survivesRestart || restarts !== true),
    () => kit.create(),
  );
}

export const call: CallOptions = { signal: new AbortController().signal };

/** The error a promise rejects with; throws when it resolves. */
export async function rejection(of: PromiseLike<unknown>): Promise<any> {
  try {
    await of;
  } catch (error) {
    return error;
  }
  throw new Error("resolved, but had to reject");
}

/** Every one of these calls rejects with the reason of its signal, which had aborted before. */
export async function refuseAborted(
  ...calls: readonly ((call: { signal: AbortSignal }) => PromiseLike<unknown>)[]
): Promise<void> {
  for (const make of calls) {
    const error = await rejection(make({ signal: AbortSignal.abort(new Error("given up")) }));
    if (error.message !== "given up") throw error;
  }
}
