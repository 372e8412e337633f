import { createHash } from "node:crypto";
import {
  batchesOf,
  type CallOptions,
  type Collection,
  type Edge,
  type EntityData,
  type EntityId,
  type EntityStore,
  putOne,
  type RelationDocument,
  type RelationGroup,
  type Relations,
  type Removal,
  relationCollection,
  type Stored,
} from "@heddle/plugin-sdk";

/** Edges read at a time. */
const pageSize = 500;

/** Edges as documents whose id is made of their ends, type and group: one edge cannot be stored twice. */
export class StoredRelations implements Relations, EntityData {
  readonly #relations: Collection<RelationDocument>;

  constructor(entities: EntityStore) {
    this.#relations = entities.collection(relationCollection);
  }

  save(relation: Omit<RelationDocument, "id">, call: CallOptions): Promise<Stored<RelationDocument>> {
    return putOne(this.#relations, { value: { ...relation, id: idOf(relation) }, expect: "any" }, call);
  }

  async get(edge: Edge, call: CallOptions): Promise<Stored<RelationDocument> | undefined> {
    return (await this.#relations.get([idOf(edge)], call))[0];
  }

  async remove(edge: Edge, call: CallOptions): Promise<Stored<RelationDocument> | undefined> {
    const found = await this.get(edge, call);
    if (found === undefined) return undefined;
    return (await this.#relations.remove([found.value.id], call)) === 0 ? undefined : found;
  }

  async of(
    { entityType, id }: EntityId,
    {
      side,
      typeGroup,
      type,
    }: { readonly side: "from" | "to"; readonly typeGroup: RelationGroup; readonly type?: string },
    call: CallOptions,
  ): Promise<Stored<RelationDocument>[]> {
    const all: Stored<RelationDocument>[] = [];
    for (let page = 0; ; page++) {
      const where = { [`${side}.id`]: id, typeGroup };
      const query = { where, sort: { by: "id", order: "asc" as const }, limit: pageSize, page };
      const { items, total } = await this.#relations.find(query, call);
      all.push(...items.filter(({ value }) => value[side].entityType === entityType && fits(value, type)));
      if ((page + 1) * pageSize >= total) return all;
    }
  }

  /** Edges go within the request that deletes one of their ends (rest-semantics 7.6). */
  async hide({ entity }: Removal, call: CallOptions): Promise<void> {
    for (const side of ["from", "to"]) await this.#drop({ [`${side}.id`]: entity.id }, call);
  }

  async forget(what: Removal, call: CallOptions): Promise<void> {
    await this.hide(what, call);
    if (what.entity.entityType === "TENANT") await this.#drop({ tenantId: what.entity.id }, call);
  }

  async #drop(where: Readonly<Record<string, string>>, call: CallOptions): Promise<void> {
    for await (const batch of batchesOf(this.#relations, where, call)) {
      await this.#relations.remove(
        batch.map(({ value }) => value.id),
        call,
      );
    }
  }
}

const fits = (value: RelationDocument, type: string | undefined) => type === undefined || value.type === type;

function idOf({ from, to, type, typeGroup }: Edge): string {
  const parts = [from.entityType, from.id, to.entityType, to.id, typeGroup, type];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
