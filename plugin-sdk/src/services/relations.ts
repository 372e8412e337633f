import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { EntityId } from "../model/entity.ts";
import type { CollectionSpec, Stored } from "../spi/entities.ts";

export type RelationGroup =
  | "COMMON"
  | "DASHBOARD"
  | "RULE_CHAIN"
  | "RULE_NODE"
  | "EDGE"
  | "EDGE_AUTO_ASSIGN_RULE_CHAIN";

/** A directed, named edge between two entities (rest-semantics 11); written by `relations`. */
export interface RelationDocument {
  /** Made of the other members: the same edge is the same document. */
  readonly id: string;
  readonly tenantId: string;
  readonly from: EntityId;
  readonly to: EntityId;
  readonly type: string;
  readonly typeGroup: RelationGroup;
  readonly additionalInfo: unknown;
}
export const relationCollection: CollectionSpec<RelationDocument> = {
  name: "relation",
  id: "id",
  indexes: [["from.id", "typeGroup"], ["to.id", "typeGroup"], ["tenantId"]],
};

export interface Relations {
  /** Makes the edge, or replaces its additional information. */
  save(relation: Omit<RelationDocument, "id">, call: CallOptions): Promise<Stored<RelationDocument>>;
  get(edge: Edge, call: CallOptions): Promise<Stored<RelationDocument> | undefined>;
  /** The edge that was there. */
  remove(edge: Edge, call: CallOptions): Promise<Stored<RelationDocument> | undefined>;
  of(
    entity: EntityId,
    which: { readonly side: "from" | "to"; readonly typeGroup: RelationGroup; readonly type?: string },
    call: CallOptions,
  ): Promise<Stored<RelationDocument>[]>;
}
export type Edge = Pick<RelationDocument, "from" | "to" | "type" | "typeGroup">;
export const Relations = capability<Relations>("relations@1");
