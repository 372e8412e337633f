import { describe, expect, it } from "vitest";
import {
  type AttributeStore,
  type Cache,
  type CallOptions,
  type Collection,
  type CollectionSpec,
  type EntityStore,
  numberOf,
  type Page,
  type Plain,
  type Query,
  type RangeQuery,
  type Sample,
  type TimeseriesStore,
  type WindowPoint,
} from "../src/index.ts";
import { attributeStoreCases, describeAttributeStore } from "./attribute-store.ts";
import { boundCase, cacheCases, describeCache } from "./cache.ts";
import { describeEntityStore, entityStoreCases } from "./entity-store.ts";
import { failingCases } from "./kit.ts";
import { MemoryAttributeStore } from "./memory/attribute-store.ts";
import { MemoryCache } from "./memory/cache.ts";
import { MemoryCollection, MemoryEntityStore } from "./memory/entity-store.ts";
import { MemoryTimeseriesStore } from "./memory/timeseries-store.ts";
import type { StoreUnderTest } from "./store-kit.ts";
import { describeTimeseriesStore, timeseriesStoreCases } from "./timeseries-store.ts";
import { realWorld, steppedWorld } from "./world.ts";

const alone = async <S>(store: S): Promise<StoreUnderTest<S>> => ({ store, [Symbol.asyncDispose]: async () => {} });
const inMemory = { survivesRestart: false };
const world = realWorld();

describeEntityStore("memory", { create: () => alone(new MemoryEntityStore()), supports: inMemory });
describeAttributeStore("memory", { create: () => alone(new MemoryAttributeStore()), supports: inMemory });
describeTimeseriesStore("memory", { create: () => alone(new MemoryTimeseriesStore(world)), supports: inMemory });

function cacheUnderTest(make: (world: ReturnType<typeof steppedWorld>) => Cache) {
  const stepped = steppedWorld();
  return { cache: make(stepped), pass: stepped.pass, [Symbol.asyncDispose]: async () => {} };
}
describeCache("memory", {
  create: async () => cacheUnderTest((stepped) => new MemoryCache(stepped, 100)),
  beyondBound: 101,
});

/** A store whose collections are of a broken class. */
function entities(broken: new (spec: CollectionSpec<any>) => Collection<any>): EntityStore {
  const made = new Map<string, Collection<any>>();
  return {
    collection: (spec) => {
      const found = made.get(spec.name) ?? new broken(spec);
      made.set(spec.name, found);
      return found;
    },
  };
}

describe("broken entity stores fail the kit", () => {
  const broken: [string, string, new (spec: CollectionSpec<any>) => Collection<any>][] = [
    [
      "ignores what was expected",
      "T-19 another version than expected is a conflict and changes nothing",
      class extends MemoryCollection<any> {
        protected override refusal() {
          return undefined;
        }
      },
    ],
    [
      "lets two claims through",
      "of many concurrent claims one gets through",
      class extends MemoryCollection<any> {
        protected override claimed() {
          return undefined;
        }
      },
    ],
    [
      "pages unstably",
      "ties are broken by id, so that pages neither repeat nor miss a document",
      class extends MemoryCollection<any> {
        #round = 0;
        override find(query: Query, call: CallOptions): Promise<Page<any>> {
          this.#round++;
          return super.find(query, call);
        }
        protected override compare(...[a, b, sort]: Parameters<MemoryCollection<any>["compare"]>): number {
          const by = Number(a.value[sort?.by ?? ""]) - Number(b.value[sort?.by ?? ""]);
          const tie = super.compare(a, b, undefined);
          return (sort?.order === "desc" ? -by : by) || (this.#round % 2 === 0 ? tie : -tie);
        }
      },
    ],
    [
      "counts one page only",
      "the total counts the matches of all pages, also of one beyond the last",
      class extends MemoryCollection<any> {
        override async find(query: Query, call: CallOptions): Promise<Page<any>> {
          const { items } = await super.find(query, call);
          return { items, total: items.length };
        }
      },
    ],
    [
      "shares its objects",
      "documents come back as they were, and changing them changes nothing stored",
      class extends MemoryCollection<any> {
        readonly #shared = new Map<string, any>();
        protected override read(id: string) {
          const fresh = super.read(id);
          if (fresh !== undefined && this.#shared.get(id)?.version !== fresh.version) this.#shared.set(id, fresh);
          return fresh && this.#shared.get(id);
        }
      },
    ],
  ];
  it.each(broken)("one that %s fails “%s”", async (_, name, Broken) => {
    expect(
      await failingCases(
        entityStoreCases.filter(({ restarts }) => !restarts),
        () => alone(entities(Broken)),
      ),
    ).toContain(name);
  });
});

describe("broken attribute stores fail the kit", () => {
  const broken: [string, string, () => AttributeStore][] = [
    [
      "does not count removals",
      "the version grows through removals",
      () =>
        new (class extends MemoryAttributeStore {
          override async remove(...args: Parameters<MemoryAttributeStore["remove"]>) {
            const { removed } = await super.remove(...args);
            return { removed, version: --this.version };
          }
        })(),
    ],
    [
      "forgets one scope only",
      "forget drops all scopes of these entities and nothing else, and may be repeated",
      () =>
        new (class extends MemoryAttributeStore {
          override async forget(...[entities]: Parameters<MemoryAttributeStore["forget"]>) {
            for (const entity of entities) this.of(entity, "SERVER_SCOPE").clear();
          }
        })(),
    ],
    [
      "loses the type of 25.0",
      "values keep their type exactly",
      () =>
        new (class extends MemoryAttributeStore {
          override async get(...args: Parameters<MemoryAttributeStore["get"]>) {
            const found = await super.get(...args);
            return found.map((one) => ({ ...one, value: numberOf(one.value) ?? one.value }));
          }
        })(),
    ],
  ];
  it.each(broken)("one that %s fails “%s”", async (_, name, make) => {
    const cases = attributeStoreCases.filter(({ restarts }) => !restarts);
    expect(await failingCases(cases, () => alone(make()))).toContain(name);
  });
});

class AcknowledgesEarly extends MemoryTimeseriesStore {
  readonly durable: Sample[][] = [];
  override async append(samples: readonly Sample[], call: CallOptions & { readonly ttlMs?: number }): Promise<void> {
    await super.append(samples, call);
    this.durable.push([...samples]);
  }
}

/** What it wrote a moment ago is not yet on the disk when it resolves. */
async function acknowledgesEarly(): Promise<StoreUnderTest<TimeseriesStore>> {
  const store = new AcknowledgesEarly(world);
  return {
    store,
    reopen: async () => {
      const again = new MemoryTimeseriesStore(world);
      for (const samples of store.durable.slice(0, -1))
        await again.append(samples, { signal: new AbortController().signal });
      return again;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

describe("broken time-series stores fail the kit", () => {
  const broken: [string, string, () => TimeseriesStore][] = [
    [
      "lets an older point replace the latest",
      "T-02 an older point does not replace the latest value; the history has both",
      () =>
        new (class extends MemoryTimeseriesStore {
          protected override newer() {
            return true;
          }
        })(world),
    ],
    [
      "includes the end of a range",
      "T-03 from is inclusive, to is exclusive",
      () =>
        new (class extends MemoryTimeseriesStore {
          protected override inside(ts: number, from: number, to: number) {
            return ts >= from && ts <= to;
          }
        })(world),
    ],
    [
      "loses the type of 25.0",
      "values keep their type exactly, in the history and as latest",
      () =>
        new (class extends MemoryTimeseriesStore {
          protected override sorted(...args: Parameters<MemoryTimeseriesStore["sorted"]>) {
            return super.sorted(...args).map((point) => ({ ...point, value: numberOf(point.value) ?? point.value }));
          }
        })(world),
    ],
    [
      "puts the edge of a window into the one before",
      "T-05 AVG: each window's point lies in its middle, the last window is cut",
      () =>
        new (class extends MemoryTimeseriesStore {
          protected override inside(ts: number, from: number, to: number) {
            return ts > from && ts <= to;
          }
        })(world),
    ],
    [
      "keeps the first of two writes",
      "T-01 the same key and ts again is one point: the later write wins",
      () =>
        new (class extends MemoryTimeseriesStore {
          override async append(...[samples, call]: Parameters<MemoryTimeseriesStore["append"]>) {
            for (const sample of samples) {
              const fresh = Object.entries(sample.values).filter(
                ([key]) => !this.series(sample.entity, key).points.has(sample.ts),
              );
              await super.append([{ ...sample, values: Object.fromEntries(fresh) }], call);
            }
          }
        })(world),
    ],
    [
      "answers a long range in one page",
      "long ranges come in pages, in order, whole",
      () =>
        new (class extends MemoryTimeseriesStore {
          override async *range(query: RangeQuery): AsyncIterable<readonly WindowPoint[]> {
            for (const key of query.keys) yield this.select(query, key);
          }
        })(world),
    ],
  ];
  it.each(broken)("one that %s fails “%s”", async (_, name, make) => {
    const cases = timeseriesStoreCases.filter(({ restarts }) => !restarts);
    expect(await failingCases(cases, () => alone(make()))).toContain(name);
  });

  it("one that acknowledges before it is durable fails “what was acknowledged is there after a restart”", async () => {
    const cases = timeseriesStoreCases.filter(({ restarts }) => restarts);
    expect(await failingCases(cases, acknowledgesEarly)).toEqual([
      "what was acknowledged is there after a restart: history, latest, types, removals",
    ]);
  });
});

describe("broken caches fail the kit", () => {
  it("one that answers expired values fails “a value is gone when its time has passed, and not before”", async () => {
    class Broken extends MemoryCache {
      override async get(keys: readonly string[]): Promise<Plain[]> {
        return keys.map((key) => this.entries.get(key)?.value);
      }
    }
    const failing = await failingCases(cacheCases, async () => cacheUnderTest((stepped) => new Broken(stepped)));
    expect(failing).toContain("a value is gone when its time has passed, and not before");
  });

  it("one without a bound fails “it is bounded: old entries go”", async () => {
    const failing = await failingCases([boundCase(101)], async () =>
      cacheUnderTest((stepped) => new MemoryCache(stepped, 1e9)),
    );
    expect(failing).toEqual(["it is bounded: old entries go"]);
  });
});
