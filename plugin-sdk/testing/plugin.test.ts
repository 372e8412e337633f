import { describe, expect, it } from "vitest";
import { capability, Duration, definePlugin, type Plugin, provide, Type, World } from "../src/index.ts";
import { failingCases } from "./kit.ts";
import { describePlugin, pluginCases, pluginSetup } from "./plugin.ts";

const Clock = capability<{ read(): number }>("test-clock@1");
const config = Type.Object({ pause: Duration({ default: "2s" }) }, { additionalProperties: false });

/** A plugin that holds a timer while it runs. */
const good = definePlugin({
  name: "@heddle/test-clock",
  sdk: "^1.0",
  summary: "Tells the time.",
  stability: "experimental",
  config,
  requires: { world: World },
  provides: [Clock],
  faults: { "clock.stopped": { kind: "unavailable", help: "Not running." } },
  register({ container, deps, config: { pause } }) {
    provide(container, Clock, () => {
      let timer: Disposable | undefined;
      return {
        read: () => deps.world.now(),
        start: async (signal: AbortSignal) => {
          signal.throwIfAborted();
          if (timer !== undefined) throw new Error("runs already");
          timer = deps.world.timer(pause, () => {});
        },
        [Symbol.asyncDispose]: async () => {
          timer?.[Symbol.dispose]();
          timer = undefined;
        },
      };
    });
  },
});

describePlugin(good);

const broken: readonly [what: string, card: Plugin<any, any, any>, found: string][] = [
  ["is a bare object", { ...good }, "the card is complete"],
  [
    "has a default that its schema refuses",
    definePlugin({ ...good, config: Type.Object({ count: Type.Integer({ default: "many" }) }) } as unknown as Plugin),
    "the defaults of the config are valid",
  ],
  [
    "takes any field",
    definePlugin({ ...good, config: Type.Object({}) }),
    "a config field that does not exist is refused",
  ],
  [
    "reads a dependency in register",
    definePlugin({ ...good, register: (ctx: any) => void ctx.deps.world.now() }),
    "register opens nothing, reads no dependency and returns nothing",
  ],
  [
    "awaits in register",
    definePlugin({ ...good, register: async () => {} }),
    "register opens nothing, reads no dependency and returns nothing",
  ],
  [
    "does not provide what it says",
    definePlugin({ ...good, register() {} }),
    "what the card provides is there after register",
  ],
  [
    "cannot stop without start",
    definePlugin({
      ...good,
      stop: async () => {
        throw new Error("not running");
      },
    }),
    "it stops without having started",
  ],
  [
    "starts once only",
    definePlugin({
      ...good,
      start: (() => {
        const seen = new WeakSet<object>();
        return async ({ container }: { container: object }) => {
          if (seen.has(container)) throw new Error("was started before");
          seen.add(container);
        };
      })(),
    }),
    "it starts, stops twice, starts again and stops",
  ],
  [
    "hangs when its start is given up",
    definePlugin({
      ...good,
      start: ({ signal }: { signal: AbortSignal }) => (signal.aborted ? new Promise(() => {}) : Promise.resolve()),
    }),
    "a start that is given up ends soon and leaves nothing behind",
  ],
];

describe("the plugin kit finds a plugin that", () => {
  for (const [what, card, found] of broken) {
    it(what, async () => {
      const suspects = pluginCases.filter(({ name }) => name === found);
      expect(suspects).toHaveLength(1);
      expect(await failingCases(suspects, pluginSetup(card), 500)).toEqual([found]);
    });
  }
});
