import type { Attribute, AttributeStore, AttributeWrite, CallOptions, EntityId, Scope } from "../../src/index.ts";

const nameOf = ({ entityType, id }: EntityId) => `${entityType}/${id}`;

/** The reference: short and slow. */
export class MemoryAttributeStore implements AttributeStore {
  protected readonly values = new Map<string, Map<string, Attribute>>();
  protected version = 0;

  async get(entity: EntityId, scope: Scope, keys: readonly string[] | "all", call: CallOptions): Promise<Attribute[]> {
    call.signal.throwIfAborted();
    const found = this.of(entity, scope);
    return (keys === "all" ? [...found.keys()] : keys).flatMap((key) => found.get(key) ?? []);
  }

  async put({ entity, scope, values, ts }: AttributeWrite, call: CallOptions): Promise<number> {
    call.signal.throwIfAborted();
    const found = this.of(entity, scope);
    for (const [key, value] of Object.entries(values)) found.set(key, { key, value, lastUpdateTs: ts });
    return ++this.version;
  }

  async remove(
    entity: EntityId,
    scope: Scope,
    keys: readonly string[],
    call: CallOptions,
  ): Promise<{ removed: string[]; version: number }> {
    call.signal.throwIfAborted();
    const found = this.of(entity, scope);
    return { removed: keys.filter((key) => found.delete(key)), version: ++this.version };
  }

  async forget(entities: readonly EntityId[], call: CallOptions): Promise<void> {
    call.signal.throwIfAborted();
    for (const entity of entities) {
      for (const name of this.values.keys()) if (name.startsWith(`${nameOf(entity)}/`)) this.values.delete(name);
    }
  }

  protected of(entity: EntityId, scope: Scope): Map<string, Attribute> {
    const name = `${nameOf(entity)}/${scope}`;
    const found = this.values.get(name) ?? new Map<string, Attribute>();
    this.values.set(name, found);
    return found;
  }
}
