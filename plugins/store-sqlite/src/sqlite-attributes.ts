import {
  type Attribute,
  type AttributeStore,
  type AttributeWrite,
  type CallOptions,
  Double,
  double,
  type EntityId,
  Json,
  type Scope,
  type Value,
} from "@heddle/plugin-sdk";
import type { SqlValue } from "@heddle/sqlite-driver/worker";
import type { AttributeOwner, AttributePut, AttributeRemoval, StoredAttribute } from "./protocol.ts";
import type { StoreFile } from "./store-file.ts";

/** Their numbers are in files, never reuse one. */
const kind = { boolean: 1, long: 2, double: 3, string: 4, json: 5, bigLong: 6 } as const;

/** Attributes in the shared file. */
export class SqliteAttributes implements AttributeStore {
  readonly #file: StoreFile;

  constructor(file: StoreFile) {
    this.#file = file;
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#file.start(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.stop();
  }

  async get(entity: EntityId, scope: Scope, keys: readonly string[] | "all", call: CallOptions): Promise<Attribute[]> {
    const found = await this.#file.read("attributes", { ...owner(entity, scope), keys }, call.signal);
    return (found as StoredAttribute[]).map(([key, code, value, lastUpdateTs]) => ({
      key,
      value: decoded(code, value),
      lastUpdateTs,
    }));
  }

  async put({ entity, scope, values, ts }: AttributeWrite, call: CallOptions): Promise<number> {
    const flat: SqlValue[] = [];
    for (const key in values) flat.push(key, ...encoded(values[key] as Value));
    const put: AttributePut = { ...owner(entity, scope), ts, values: flat };
    return (await this.#file.write("putAttributes", put, call.signal)) as number;
  }

  async remove(
    entity: EntityId,
    scope: Scope,
    keys: readonly string[],
    call: CallOptions,
  ): Promise<{ removed: string[]; version: number }> {
    const arg = { ...owner(entity, scope), keys };
    return (await this.#file.write("removeAttributes", arg, call.signal)) as AttributeRemoval;
  }

  async forget(entities: readonly EntityId[], call: CallOptions): Promise<void> {
    const plain = entities.map(({ entityType, id }) => ({ type: entityType, id }));
    await this.#file.write("forgetAttributes", plain, call.signal);
  }
}

const owner = ({ entityType, id }: EntityId, scope: Scope): AttributeOwner => ({ type: entityType, id, scope });

function encoded(value: Value): [number, SqlValue] {
  switch (typeof value) {
    case "boolean":
      return [kind.boolean, value ? 1 : 0];
    case "number":
      return [Number.isInteger(value) ? kind.long : kind.double, value];
    case "bigint":
      return [kind.bigLong, String(value)];
    case "string":
      return [kind.string, value];
    default:
      return value instanceof Double ? [kind.double, value.value] : [kind.json, value.text];
  }
}

function decoded(code: number, stored: SqlValue): Value {
  switch (code) {
    case kind.boolean:
      return stored === 1;
    case kind.long:
      return stored as number;
    case kind.double:
      // SQLite keeps no NaN: it stores null in its place.
      return double((stored ?? Number.NaN) as number);
    case kind.bigLong:
      return BigInt(stored as string);
    case kind.json:
      return new Json(stored as string);
    default:
      return stored as string;
  }
}
