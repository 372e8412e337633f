import assert from "node:assert/strict";
import { Value } from "@sinclair/typebox/value";
import { type DependencyContainer, container as root } from "tsyringe";
import {
  type Capability,
  type Decoding,
  decodeKeyword,
  isPlugin,
  Log,
  neededCapability,
  type Plugin,
  type PluginContext,
  parseBytes,
  parseDuration,
  Secret,
  type Startable,
  type TSchema,
  Type,
  World,
} from "../src/index.ts";
import { describeCases, type KitCase } from "./kit.ts";
import { realWorld, silentLog } from "./world.ts";

export interface PluginKit {
  /** Fields without a default, and what should differ from the defaults in a test: a directory, a port. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Stand-ins for needed capabilities, by id; `World` and `Log` are there. */
  readonly deps?: ReadonlyMap<string, unknown>;
}

interface Bench {
  readonly card: Plugin;
  readonly kit: PluginKit;
  readonly container: DependencyContainer;
  make(signal: AbortSignal): PluginContext<any, any, any>;
}

/** What holds for every plugin. `card` is its default export. */
export function describePlugin(card: Plugin<any, any, any>, kit: PluginKit = {}): void {
  describeCases(`${card.name} as plugin`, pluginCases, pluginSetup(card, kit));
}

export const pluginSetup =
  (card: Plugin<any, any, any>, kit: PluginKit = {}) =>
  async (): Promise<Bench & AsyncDisposable> => {
    const container = root.createChildContainer();
    return {
      card,
      kit,
      container,
      make: (signal) => contextOf(card, kit, { container, signal }),
      [Symbol.asyncDispose]: async () => container.clearInstances(),
    };
  };

/** The config as the host would give it: defaults filled in, checked, durations, sizes and secrets decoded. */
export function configOf(
  card: Plugin<any, any, any>,
  given: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const schema = checkable(card.config);
  const filled = Value.Default(schema, structuredClone(given));
  for (const { path, message } of Value.Errors(schema, filled)) {
    throw new Error(`${card.name}: config${path}: ${message}`);
  }
  return decoded(card.config, filled) as Record<string, unknown>;
}

/** The checker knows no `type` lists, which decoded fields have. */
function checkable(schema: TSchema): TSchema {
  const { default: fallback, pattern, minimum } = schema;
  const options = fallback === undefined ? {} : { default: fallback as unknown };
  const how = schema[decodeKeyword] as Decoding | undefined;
  if (how === "secret") return Type.String(options);
  if (how !== undefined) return Type.Union([Type.String({ pattern }), Type.Integer({ minimum })], options);
  const copy: Record<string, unknown> = { ...schema };
  for (const name of ["anyOf", "allOf"]) {
    if (Array.isArray(schema[name])) copy[name] = (schema[name] as TSchema[]).map(checkable);
  }
  if (schema["items"] !== undefined) copy["items"] = checkable(schema["items"] as TSchema);
  for (const name of ["properties", "patternProperties"]) {
    const fields = Object.entries((schema[name] ?? {}) as Record<string, TSchema>);
    if (fields.length > 0) copy[name] = Object.fromEntries(fields.map(([key, field]) => [key, checkable(field)]));
  }
  return copy as unknown as TSchema;
}

function decoded(schema: TSchema | undefined, value: unknown): unknown {
  const how = schema?.[decodeKeyword] as Decoding | undefined;
  if (how === "duration") return finite(parseDuration(value as string));
  if (how === "bytes") return finite(parseBytes(value as string));
  if (how === "secret") return new Secret(String(value));
  if (Array.isArray(value)) return value.map((item) => decoded(schema?.["items"], item));
  if (typeof value !== "object" || value === null) return value;
  const fields = (schema?.["properties"] ?? {}) as Record<string, TSchema>;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, field]) => (field === undefined ? [] : [[key, decoded(fields[key], field)]])),
  );
}

function finite(value: number): number {
  assert.ok(Number.isFinite(value), "a duration or size is not a number");
  return value;
}

function contextOf(
  card: Plugin<any, any, any>,
  kit: PluginKit,
  at: { readonly container: DependencyContainer; readonly signal: AbortSignal },
): PluginContext<any, any, any> {
  const known = new Map<string, unknown>([[World.id, realWorld()], [Log.id, silentLog], ...(kit.deps ?? [])]);
  const deps = {};
  for (const [name, need] of Object.entries(card.requires ?? {})) {
    const { id, cardinality } = neededCapability(need as Capability<unknown>);
    const get = () => {
      if (!known.has(id) && cardinality === "one" && !("optional" in (need as object))) {
        throw new Error(`describePlugin(${card.name}) needs deps with ${id}`);
      }
      return known.get(id) ?? (cardinality === "many" ? [] : undefined);
    };
    Object.defineProperty(deps, name, { enumerable: true, get });
  }
  const metrics = Object.fromEntries(Object.keys(card.metrics ?? {}).map((name) => [name, { record() {} }]));
  return { id: "under-test", config: configOf(card, kit.config), deps, metrics, ...at };
}

/** Starts as the host does: what is provided, then the plugin's own hook. */
async function start({ card, container }: Bench, context: PluginContext<any, any, any>): Promise<void> {
  for (const { token } of card.provides ?? []) await container.resolve<Startable>(token).start?.(context.signal);
  await card.start?.(context);
}

async function stop({ card, container }: Bench, context: PluginContext<any, any, any>): Promise<void> {
  await card.stop?.(context);
  for (const { token } of card.provides ?? []) await container.resolve<Startable>(token)[Symbol.asyncDispose]?.();
}

const live = () => new AbortController().signal;

/** Handles and requests of this process, by kind; timers of the test runner are not counted. */
const activity = () =>
  process.getActiveResourcesInfo().filter((kind) => kind !== "Timeout" && kind !== "Immediate").length;

export const pluginCases: KitCase<Bench>[] = [
  {
    name: "the card is complete",
    run: async ({ card }) => {
      assert.ok(isPlugin(card), "the default export is not what definePlugin returned");
      assert.match(card.name, /^(@[a-z0-9-]+\/)?[a-z0-9-]+$/);
      assert.match(card.sdk, /^[\^~>=\d]/);
      assert.match(card.summary, /^\S.*\.$/s, "the summary is a sentence");
      const areas = Object.keys(card.faults ?? {}).filter(
        (code) => !/^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/.test(code),
      );
      assert.deepEqual(areas, [], "fault codes are `area.what`");
    },
  },
  {
    name: "the defaults of the config are valid",
    run: async ({ card, kit }) => {
      configOf(card, kit.config);
    },
  },
  {
    name: "a config field that does not exist is refused",
    run: async ({ card, kit }) => {
      assert.throws(() => configOf(card, { ...kit.config, thisFieldDoesNotExist: 1 }));
    },
  },
  {
    name: "register opens nothing, reads no dependency and returns nothing",
    run: async (bench) => {
      const context = bench.make(live());
      const touched: string[] = [];
      const deps = new Proxy(context.deps as object, {
        get: (target, name) => {
          touched.push(String(name));
          return Reflect.get(target, name);
        },
      });
      const before = activity();
      const outcome: unknown = bench.card.register({ ...context, deps: deps as typeof context.deps });
      assert.equal(outcome, undefined);
      assert.deepEqual(touched, []);
      assert.ok(activity() <= before, "register has opened something");
    },
  },
  {
    name: "what the card provides is there after register",
    run: async (bench) => {
      bench.card.register(bench.make(live()));
      for (const { token } of bench.card.provides ?? []) assert.ok(bench.container.isRegistered(token), String(token));
    },
  },
  {
    name: "it starts, stops twice, starts again and stops",
    run: async (bench) => {
      const context = bench.make(live());
      bench.card.register(context);
      for (let round = 0; round < 2; round += 1) {
        await start(bench, context);
        const health = await bench.card.health?.(context);
        assert.notEqual(health?.state, "down", health?.detail);
        await stop(bench, context);
        await stop(bench, context);
      }
    },
  },
  {
    name: "it stops without having started",
    run: async (bench) => {
      const context = bench.make(live());
      bench.card.register(context);
      await stop(bench, context);
    },
  },
  {
    name: "a start that is given up ends soon and leaves nothing behind",
    run: async (bench) => {
      const giveUp = new AbortController();
      const aborted = bench.make(giveUp.signal);
      bench.card.register(aborted);
      const starting = start(bench, aborted).catch((reason: unknown) => reason);
      giveUp.abort(new Error("given up"));
      await starting;
      await stop(bench, aborted);
      const again = bench.make(live());
      await start(bench, again);
      await stop(bench, again);
    },
  },
];
