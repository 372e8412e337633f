import {
  capability,
  definePlugin,
  extensionPoint,
  Fault,
  LaunchOptions,
  Log,
  Observability,
  type Plugin,
  provide,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { MetricRegistry } from "../observe/metrics.ts";
import { loadDistribution } from "./distribution.ts";
import { Host, type HostOptions } from "./host.ts";
import { hostOptions, noLog } from "./test-distribution.ts";

type Card = Partial<Plugin<any, any, any>>;

async function hostOf(
  cards: Record<string, Card>,
  change: Partial<HostOptions> = {},
  manifest: object = {},
): Promise<Host> {
  const builtIns = Object.entries(cards).map(([id, card]) => {
    const plugin = definePlugin({
      name: `@test/${id}`,
      sdk: "^1.0",
      summary: "",
      stability: "beta",
      config: Type.Object({}),
      register: () => {},
      ...card,
    } as Plugin<any, any, any>);
    return { id, plugin };
  });
  const { plan, problems } = await loadDistribution({ manifest: { name: "n", ...manifest }, builtIns, env: {} });
  expect(problems).toEqual([]);
  return new Host(plan!, hostOptions(change));
}

const live = () => new AbortController().signal;
const A = capability<{ name: string }>("host-a@1");
const B = capability<{ name: string }>("host-b@1");
const Parts = extensionPoint<string>("host-parts@1");

/** Three plugins in a row that note what happens to them. */
function row(events: string[], change: Record<string, Card> = {}): Record<string, Card> {
  const note = (id: string, what: typeof A | undefined, needs: Record<string, unknown>): Card => ({
    requires: needs as any,
    provides: what === undefined ? [] : [what],
    register: ({ container }) => {
      if (what === undefined) return;
      provide(container, what, () => ({
        name: id,
        start: async () => void events.push(`+${id}.object`),
        [Symbol.asyncDispose]: async () => void events.push(`-${id}.object`),
      }));
    },
    start: async () => void events.push(`+${id}`),
    stop: async () => void events.push(`-${id}`),
    ...change[id],
  });
  // Against the order of the graph, on purpose.
  return { top: note("top", undefined, { b: B }), mid: note("mid", B, { a: A }), low: note("low", A, {}) };
}

it("starts objects before hooks and providers before users, and stops in reverse", async () => {
  const events: string[] = [];
  const host = await hostOf(row(events));
  await host.start(live());
  expect(events.splice(0)).toEqual(["+low.object", "+low", "+mid.object", "+mid", "+top"]);
  await Promise.all([host.stop({ deadlineMs: 1_000 }), host.stop({ deadlineMs: 1_000 })]);
  expect(events).toEqual(["-top", "-mid", "-mid.object", "-low", "-low.object"]);
});

it("rolls back what started when a plugin fails, and says which one and why", async () => {
  const events: string[] = [];
  const cause = new Fault("unavailable", "queue.down", "broker 10.0.0.7:9092 refused the connection");
  const host = await hostOf(row(events, { mid: { start: async () => Promise.reject(cause) } }));
  const failure = await host.start(live()).catch((error) => error);
  expect(failure).toMatchObject({ code: "host.start-failed", kind: "unavailable", cause });
  expect(failure.message).toBe("mid (@test/mid) could not start: broker 10.0.0.7:9092 refused the connection");
  expect(events).toEqual(["+low.object", "+low", "+mid.object", "-mid", "-mid.object", "-low", "-low.object"]);
});

it("starts what does not need each other at the same time, and aborts the others when one fails", async () => {
  let aborted = false;
  const host = await hostOf({
    slow: {
      start: ({ signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => {
            aborted = true;
            reject(signal.reason);
          }),
        ),
    },
    bad: {
      start: async () => {
        throw new Error("no");
      },
    },
  });
  await expect(host.start(live())).rejects.toThrow("bad (@test/bad) could not start: no");
  expect(aborted).toBe(true);
});

it("keeps the signal of a start that succeeded from aborting later", async () => {
  let kept: AbortSignal | undefined;
  const host = await hostOf({
    keeper: {
      start: async ({ signal }) => {
        kept = signal;
      },
    },
  });
  const timeout = new AbortController();
  await host.start(timeout.signal);
  timeout.abort();
  await host.stop({ deadlineMs: 100 });
  expect(kept?.aborted).toBe(false);
});

it("gives up starting when its signal aborts", async () => {
  const stop = new AbortController();
  const host = await hostOf({
    slow: {
      start: ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    },
  });
  const starting = host.start(stop.signal);
  stop.abort(new Error("interrupted"));
  await expect(starting).rejects.toThrow("interrupted");
});

it("resolves in a plugin's container what it declared and nothing else", async () => {
  const host = await hostOf({
    a: { provides: [A], register: ({ container }) => provide(container, A, () => ({ name: "a" })) },
    b: { provides: [B], register: ({ container }) => provide(container, B, () => ({ name: "b" })) },
    user: {
      requires: { a: A },
      start: async ({ container, deps }) => {
        expect(container.resolve(A.token)).toBe((deps as any).a);
        expect(() => container.resolve(B.token)).toThrow("unregistered");
        expect((deps as any).b).toBeUndefined();
      },
    },
  });
  await host.start(live());
  await host.stop({ deadlineMs: 100 });
});

it("collects an extension point in manifest order, several values of one provider, and as a dependency", async () => {
  let seen: readonly string[] = [];
  const give = (...texts: string[]): Card => ({
    provides: [Parts],
    register: ({ container }) => {
      for (const text of texts) provide(container, Parts, () => text as string & {});
    },
  });
  const host = await hostOf({
    user: {
      requires: { parts: Parts },
      start: async ({ deps }) => {
        seen = (deps as any).parts;
      },
    },
    second: give("x", "y"),
    third: give("z"),
  });
  expect(() => host.collect(Parts)).toThrow("nothing is registered yet");
  await host.start(live());
  expect(host.collect(Parts)).toEqual(["x", "y", "z"]);
  expect(seen).toEqual(["x", "y", "z"]);
  await host.stop({ deadlineMs: 100 });
});

it("names factories that read each other, and a capability that was never registered", async () => {
  const Again = extensionPoint<{ name: string }>("host-again@1");
  const round = await hostOf({
    a: {
      provides: [Again],
      requires: { all: Again },
      register: ({ container, deps }) => provide(container, Again, () => ({ name: String((deps as any).all) })),
    },
  });
  await expect(round.start(live())).rejects.toThrow("a → host-again@1, then a → host-again@1");
  const absent = await hostOf({ a: { provides: [A] } });
  await expect(absent.start(live())).rejects.toThrow(
    "@test/a provides host-a@1, but its register did not provide() it",
  );
});

it("gives each plugin the kernel's capabilities, its own log and its metrics", async () => {
  const names: string[] = [];
  const metrics = new MetricRegistry();
  const log: Log = {
    ...noLog,
    child: (name) => {
      names.push(name);
      return noLog;
    },
  };
  const card: Card = {
    requires: { world: World, log: Log, launch: LaunchOptions, observability: Observability },
    metrics: {
      sendSeconds: { kind: "histogram", unit: "s", help: "Time to durable.", buckets: [1] },
      lost: { kind: "counter", unit: "messages", help: "Lost." },
    },
    start: async ({ deps, metrics: own }) => {
      const { launch, observability } = deps as any;
      expect(launch).toEqual({ demo: true });
      own.lost!.record(2);
      expect(observability.metrics()).toContain('heddle_one_lost_messages_total{plugin="one"} 2');
      expect((deps as any).log).toBe((deps as any).log);
    },
  };
  const host = await hostOf({ one: card }, { metrics, log, launch: { demo: true } });
  await host.start(live());
  expect(names).toEqual(["one"]);
  expect(metrics.text()).toContain('heddle_one_send_seconds_bucket{plugin="one",le="1"} 0');
  await host.stop({ deadlineMs: 100 });
});

describe("stopping", () => {
  it("gives up a start that is under way and undoes it", async () => {
    const events: string[] = [];
    const hangs: Card = {
      start: ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    };
    const host = await hostOf(row(events, { top: hangs }));
    const starting = host.start(live());
    const outcome = expect(starting).rejects.toThrow("the node is stopping");
    await new Promise((resolve) => setTimeout(resolve, 5));
    await host.stop({ deadlineMs: 1_000 });
    await outcome;
    expect(events.slice(4)).toEqual(["-top", "-mid", "-mid.object", "-low", "-low.object"]);
  });

  it("does not wait for a start that ignores its signal", async () => {
    const stop = new AbortController();
    const host = await hostOf({ deaf: { start: () => new Promise(() => {}) } });
    const starting = host.start(stop.signal);
    stop.abort(new Error("interrupted"));
    await expect(starting).rejects.toThrow("interrupted");
  });

  it("aborts the signal at the deadline and leaves behind what does not listen", async () => {
    const events: string[] = [];
    const host = await hostOf({
      deaf: {
        provides: [A],
        register: ({ container }) => provide(container, A, () => ({ name: "a" })),
        stop: () => new Promise(() => {}),
      },
      polite: {
        requires: { a: A },
        stop: ({ signal }) =>
          new Promise((resolve) =>
            signal.addEventListener("abort", () => {
              events.push("aborted");
              resolve();
            }),
          ),
      },
    });
    await host.start(live());
    const before = performance.now();
    await host.stop({ deadlineMs: 50 });
    expect(events).toEqual(["aborted"]);
    expect(performance.now() - before).toBeLessThan(3_000);
  });

  it("goes on when a plugin cannot stop, and logs why", async () => {
    const errors: unknown[] = [];
    const log: Log = {
      ...noLog,
      child: () => ({ ...noLog, error: (message, fields) => void errors.push([message, fields]) }),
    };
    const events: string[] = [];
    const bad: Card = {
      stop: async () => {
        throw new Error("stuck");
      },
    };
    const host = await hostOf(row(events, { mid: bad }), { log });
    await host.start(live());
    await host.stop({ deadlineMs: 1_000 });
    expect(events.slice(5)).toEqual(["-top", "-mid.object", "-low", "-low.object"]);
    expect(errors).toMatchObject([["stopping failed", { error: { message: "stuck" } }]]);
  });
});

it("is as healthy as the worst plugin, and ready only when it serves", async () => {
  const host = await hostOf({
    good: { health: () => ({ state: "up" }) },
    weak: { health: async () => ({ state: "degraded", detail: "slow" }) },
  });
  expect((await host.health()).ready).toBe(false);
  await host.start(live());
  expect(await host.health()).toEqual({
    state: "degraded",
    ready: true,
    plugins: { good: { state: "up" }, weak: { state: "degraded", detail: "slow" } },
  });
  await host.stop({ deadlineMs: 100 });
  expect((await host.health()).ready).toBe(false);
});
