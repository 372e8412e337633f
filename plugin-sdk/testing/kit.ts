import { describe, it } from "vitest";

/** One sentence of a contract and the code that proves it; it rejects when the implementation breaks it. */
export interface KitCase<C> {
  readonly name: string;
  run(context: C): Promise<void>;
}

/** Makes what one case needs; disposed after it. */
export type KitSetup<C> = () => Promise<C & AsyncDisposable>;

/** Runs the cases as tests, each on its own context. */
export function describeCases<C>(title: string, cases: readonly KitCase<C>[], setup: KitSetup<C>): void {
  describe(title, () => {
    for (const { name, run } of cases) {
      it(name, async () => {
        await using context = await setup();
        await run(context);
      });
    }
  });
}

/** Names of the cases that an implementation does not pass; a case that hangs fails after `patienceMs`. */
export async function failingCases<C>(
  cases: readonly KitCase<C>[],
  setup: KitSetup<C>,
  patienceMs = 2_000,
): Promise<string[]> {
  const failing: string[] = [];
  for (const { name, run } of cases) {
    const context = await setup();
    const hung = Symbol(name);
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise((resolve) => {
      timer = setTimeout(() => resolve(hung), patienceMs);
    });
    const outcome = await Promise.race([
      run(context).then(
        () => undefined,
        () => hung,
      ),
      patience,
    ]);
    clearTimeout(timer);
    if (outcome === hung) failing.push(name);
    await context[Symbol.asyncDispose]();
  }
  return failing;
}
