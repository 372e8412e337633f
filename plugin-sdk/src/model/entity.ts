/** The wire form of every id in REST, WebSocket and rule messages. */
export interface EntityId {
  readonly entityType: string;
  /** A UUID in lower case. */
  readonly id: string;
}

/** Stands for "none" where the API requires an id (rule-engine 1.1). */
export const nullId = "13814000-1dd2-11b2-8080-808080808080";

/**
 * Actor and lane keys are paths; the parent of an actor is the path without its last segment. A device and everything
 * told or published about it share this key, so its owner is the node that handles all of it.
 */
export const entityKey = (tenantId: string, entity: EntityId): string => `${tenantId}/${entity.id}`;

export type Scope = "CLIENT_SCOPE" | "SHARED_SCOPE" | "SERVER_SCOPE";
export const scopes: readonly Scope[] = ["CLIENT_SCOPE", "SHARED_SCOPE", "SERVER_SCOPE"];
