import type { CollectionSpec } from "@heddle/plugin-sdk";

/** The secret side of a user; the id is the user's. */
export interface CredentialsDocument {
  readonly id: string;
  readonly tenantId: string;
  readonly enabled: boolean;
  /** As `hashPassword` makes it; null until activated. */
  readonly password: string | null;
  readonly activateToken: string | null;
  /** ms since the epoch. */
  readonly activateUntil: number;
  /** Seconds since the epoch: tokens issued before are void (rest-semantics 2.11). */
  readonly voidBefore: number;
  /** Sign-ins that were ended, with the second of their end. */
  readonly ended: Readonly<Record<string, number>>;
  readonly lastLoginTs: number | null;
}
export const credentialsCollection: CollectionSpec<CredentialsDocument> = {
  name: "user-credentials",
  id: "id",
  indexes: [["tenantId"], ["activateToken"]],
  unique: [["activateToken"]],
};

export interface ApiKeyDocument {
  readonly id: string;
  readonly tenantId: string;
  readonly userId: string;
  readonly createdTime: number;
  readonly description: string;
  readonly enabled: boolean;
  readonly expirationTime: number;
  /** SHA-256 of the value, in hex: the value itself is not kept. */
  readonly hash: string;
}
export const apiKeyCollection: CollectionSpec<ApiKeyDocument> = {
  name: "api-key",
  id: "id",
  indexes: [["userId", "createdTime"], ["tenantId"], ["hash"]],
  unique: [["hash"]],
};

/** What this plugin keeps once for the whole installation. */
export interface SecretDocument {
  readonly id: "token-signing-key";
  /** Base64. */
  readonly key: string;
}
export const secretCollection: CollectionSpec<SecretDocument> = { name: "identity-secret", id: "id", indexes: [] };
