import type { Health, NodeHealth, World } from "@heddle/plugin-sdk";

export interface HealthCheck {
  readonly id: string;
  readonly check: () => Promise<Health>;
}

/** A check that takes longer counts as down. */
export const healthCheckMs = 2_000;

const rank: Readonly<Record<Health["state"], number>> = { up: 0, degraded: 1, down: 2 };

/** Runs all checks at once; the node is as healthy as the worst of its plugins, and ready when it serves and none is down. */
export async function nodeHealth(
  checks: readonly HealthCheck[],
  node: { readonly world: World; readonly serving: boolean },
): Promise<NodeHealth> {
  const results = await Promise.all(checks.map((one) => checked(one, node.world)));
  const plugins = Object.fromEntries(checks.map(({ id }, index) => [id, results[index]!]));
  const state = results.reduce<Health["state"]>(
    (worst, { state }) => (rank[state] > rank[worst] ? state : worst),
    "up",
  );
  return { state, ready: node.serving && state !== "down", plugins };
}

async function checked({ check }: HealthCheck, world: World): Promise<Health> {
  try {
    return await within(check(), { world, ms: healthCheckMs, what: "the health check" });
  } catch (error) {
    return { state: "down", detail: error instanceof Error ? error.message : String(error) };
  }
}

interface Bound {
  readonly world: World;
  readonly ms: number;
  /** Subject of the message. */
  readonly what: string;
}

/** Settles with the promise, or rejects when `ms` have passed first. */
async function within<T>(promise: Promise<T>, { world, ms, what }: Bound): Promise<T> {
  let late: Disposable | undefined;
  const timeout = new Promise<never>((_, reject) => {
    late = world.timer(ms, () => reject(new Error(`${what} took more than ${ms} ms`)));
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    late?.[Symbol.dispose]();
  }
}
