import type { CollectionSpec } from "@heddle/plugin-sdk";

/** The session of a client that connected without "clean session" (MQTT 3.1.1, 3.1.2.4). */
export interface SessionDocument {
  /** Tenant and client id. */
  readonly id: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly applicationId: string;
  readonly filters: readonly { readonly topic: string; readonly qos: 0 | 1 | 2 }[];
  /** When it was last connected, ms since the epoch. */
  readonly seenAt: number;
}
export const sessionCollection: CollectionSpec<SessionDocument> = {
  name: "application-session",
  id: "id",
  indexes: [["tenantId"]],
};

/** A message that waits for a session to acknowledge it. */
export interface QueuedDocument {
  readonly id: string;
  readonly tenantId: string;
  /** Id of the session's document. */
  readonly session: string;
  /** Sorts as they came. */
  readonly at: string;
  readonly brokerId: string;
  readonly brokerCounter: number;
  readonly topic: string;
  readonly qos: 1 | 2;
  /** Base64. */
  readonly payload: string;
}
export const queuedCollection: CollectionSpec<QueuedDocument> = {
  name: "application-queued",
  id: "id",
  indexes: [["session", "at"], ["tenantId"]],
};

/** The retained message of a free topic (MQTT 3.1.1, 3.3.1.3); those of devices are made of what is stored of them. */
export interface RetainedDocument {
  /** The topic, which names the tenant. */
  readonly id: string;
  readonly tenantId: string;
  readonly qos: 0 | 1 | 2;
  /** Base64. */
  readonly payload: string;
}
export const retainedCollection: CollectionSpec<RetainedDocument> = {
  name: "application-retained",
  id: "id",
  indexes: [["tenantId"]],
};

/** The will of a connected client, for the case that its node dies with it. */
export interface WillDocument {
  /** Tenant and client id. */
  readonly id: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly applicationId: string;
  /** The node that has the connection, and its life. */
  readonly node: string;
  readonly life: string;
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** Base64. */
  readonly payload: string;
}
export const willCollection: CollectionSpec<WillDocument> = {
  name: "application-will",
  id: "id",
  indexes: [["node"], ["tenantId"]],
};

export const sessionId = (tenantId: string, clientId: string): string => `${tenantId}/${clientId}`;

/**
 * There has been an application, so nodes read the lane for applications, and go on reading when there is none any more: what
 * a group leaves unread is kept for it.
 */
export interface FeedDocument {
  readonly id: "began";
}
export const feedCollection: CollectionSpec<FeedDocument> = { name: "application-feed", id: "id", indexes: [] };
