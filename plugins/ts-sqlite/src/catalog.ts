import { Series } from "./series.ts";
import type { SeriesRow, Statements } from "./tables.ts";

interface Entity {
  readonly type: string;
  readonly id: string;
  readonly series: Map<string, Series>;
}

/** Up to this many, one read of all series beats one for each. */
const bulkSeries = 200_000;

/** `entityType, id, key` */
export type SeriesName = readonly [string, string, string];

/** The series in memory: whole entities, read from the file when first asked for, dropped again beyond the limit. */
export class Catalog {
  readonly #sql: Statements;
  readonly #limit: number;
  readonly #entities = new Map<string, Entity>();
  /** What link numbers stand for; a catalog that follows this one on the same file goes on with them. */
  readonly #names: readonly SeriesName[];
  #links: Series[] = [];
  #count = 0;

  constructor(sql: Statements, { limit, names }: { readonly limit: number; readonly names: readonly SeriesName[] }) {
    this.#sql = sql;
    this.#limit = limit;
    this.#names = names;
  }

  get count(): number {
    return this.#count;
  }

  /** All series of an entity. */
  entity(type: string, id: string): Entity {
    const name = `${type}/${id}`;
    const known = this.#entities.get(name);
    if (known !== undefined) return known;
    if (this.#count > this.#limit) this.#evict();
    const entity = this.#place(type, id);
    for (const row of this.#sql.entitySeries.all(id, type) as SeriesRow[]) this.#load(entity, row);
    return entity;
  }

  series(type: string, id: string, key: string): Series {
    const entity = this.entity(type, id);
    let series = entity.series.get(key);
    if (series === undefined) {
      series = new Series(type, id, key);
      entity.series.set(key, series);
      this.#count++;
    }
    return series;
  }

  linked(number: number): Series {
    const known = this.#links[number];
    if (known !== undefined) return known;
    const name = this.#names[number];
    if (name === undefined) throw new Error(`series link ${number} was never defined`);
    const series = this.series(...name);
    series.linked = true;
    this.#links[number] = series;
    return series;
  }

  /** Link numbers get new meanings. */
  unlink(): void {
    this.#links.forEach((link) => {
      link.linked = false;
    });
    this.#links = [];
  }

  /** Finds stored series by id, for the replay of the log; undefined are those that were forgotten. */
  finder(): (id: number) => Series | undefined {
    const known = new Map<number, Series | undefined>();
    const { count } = this.#sql.countSeries.get() as { count: number };
    if (count <= Math.min(this.#limit, bulkSeries)) {
      for (const row of this.#sql.allSeries.all() as SeriesRow[]) {
        known.set(row.id, this.#load(this.#place(row.entity_type, row.entity_id), row));
      }
      return (id) => known.get(id);
    }
    return (id) => {
      if (!known.has(id)) known.set(id, this.#byId(id));
      return known.get(id);
    };
  }

  #byId(id: number): Series | undefined {
    const row = this.#sql.seriesEntity.get(id) as { entity_type: string; entity_id: string } | undefined;
    if (row === undefined) return undefined;
    const { series } = this.entity(row.entity_type, row.entity_id);
    return [...series.values()].find((one) => one.id === id);
  }

  #place(type: string, id: string): Entity {
    const name = `${type}/${id}`;
    const entity = this.#entities.get(name) ?? { type, id, series: new Map() };
    this.#entities.set(name, entity);
    return entity;
  }

  #load(entity: Entity, row: SeriesRow): Series {
    const series = new Series(entity.type, entity.id, row.key);
    series.id = row.id;
    series.chunkedSeq = row.chunked_seq;
    if (row.latest_ts !== null) series.latest = { ts: row.latest_ts, kind: row.latest_kind, value: row.latest_value };
    entity.series.set(row.key, series);
    this.#count++;
    return series;
  }

  /** Drops a quarter of the entities, the oldest here first, whose state is all in the file. */
  #evict(): void {
    let visits = Math.ceil(this.#entities.size / 4);
    for (const [name, entity] of this.#entities) {
      if (visits-- === 0) return;
      this.#entities.delete(name);
      if ([...entity.series.values()].some((series) => series.linked || series.count > 0)) {
        this.#entities.set(name, entity);
      } else this.#count -= entity.series.size;
    }
  }
}
