import type { CollectionSpec } from "../spi/entities.ts";
import type { Authority } from "./identity.ts";

/**
 * The documents that more than one domain plugin reads. Ids are UUID texts; `null` stands for "none" (the API writes
 * `nullId` there). Times are ms since the epoch. One plugin writes each collection, named in its comment.
 */

/** Written by `devices`. */
export interface DeviceDocument {
  readonly id: string;
  readonly tenantId: string;
  readonly customerId: string | null;
  readonly createdTime: number;
  readonly name: string;
  /** Name of the profile. */
  readonly type: string;
  readonly label: string | null;
  readonly deviceProfileId: string;
  readonly deviceData: Readonly<Record<string, unknown>> | null;
  readonly firmwareId: string | null;
  readonly softwareId: string | null;
  readonly externalId: string | null;
  readonly additionalInfo: Readonly<Record<string, unknown>> | null;
}
export const deviceCollection: CollectionSpec<DeviceDocument> = {
  name: "device",
  id: "id",
  indexes: [
    ["tenantId", "createdTime"],
    ["tenantId", "customerId"],
    ["tenantId", "type"],
    ["tenantId", "name"],
    ["deviceProfileId"],
  ],
  unique: [
    ["tenantId", "name"],
    ["tenantId", "externalId"],
  ],
};

/** Written by `devices`; device-api 1.1. */
export interface DeviceCredentialsDocument {
  readonly id: string;
  readonly tenantId: string;
  readonly createdTime: number;
  readonly deviceId: string;
  readonly credentialsType: "ACCESS_TOKEN" | "MQTT_BASIC" | "X509_CERTIFICATE" | "LWM2M_CREDENTIALS";
  readonly credentialsId: string;
  readonly credentialsValue: string | null;
}
export const deviceCredentialsCollection: CollectionSpec<DeviceCredentialsDocument> = {
  name: "device-credentials",
  id: "id",
  indexes: [["deviceId"], ["credentialsId"]],
  unique: [["deviceId"], ["credentialsId"]],
};

/** Written by `devices`. */
export interface DeviceProfileDocument {
  readonly id: string;
  readonly tenantId: string;
  readonly createdTime: number;
  readonly name: string;
  readonly description: string | null;
  readonly type: "DEFAULT";
  readonly transportType: string;
  readonly provisionType: string;
  readonly provisionDeviceKey: string | null;
  readonly default: boolean;
  readonly defaultRuleChainId: string | null;
  readonly defaultDashboardId: string | null;
  readonly defaultQueueName: string | null;
  readonly defaultEdgeRuleChainId: string | null;
  readonly firmwareId: string | null;
  readonly softwareId: string | null;
  readonly externalId: string | null;
  readonly image: string | null;
  readonly profileData: Readonly<Record<string, unknown>>;
}
export const deviceProfileCollection: CollectionSpec<DeviceProfileDocument> = {
  name: "device-profile",
  id: "id",
  indexes: [
    ["tenantId", "name"],
    ["tenantId", "default"],
  ],
  unique: [["tenantId", "name"], ["provisionDeviceKey"]],
};

export type RpcStatus = "QUEUED" | "SENT" | "DELIVERED" | "SUCCESSFUL" | "TIMEOUT" | "EXPIRED" | "FAILED" | "DELETED";

/** A persistent server-side RPC; written by `devices`. */
export interface RpcDocument {
  readonly id: string;
  readonly tenantId: string;
  readonly deviceId: string;
  readonly createdTime: number;
  readonly expirationTime: number;
  readonly status: RpcStatus;
  /** What the device was told; absent before it was sent. */
  readonly requestId?: number;
  /** JSON texts. */
  readonly request: string;
  readonly response: string | null;
  readonly additionalInfo: string | null;
}
export const rpcCollection: CollectionSpec<RpcDocument> = {
  name: "rpc",
  id: "id",
  indexes: [["tenantId", "deviceId", "createdTime"], ["status"]],
};

/** Written by `identity`. */
export interface TenantDocument {
  readonly id: string;
  readonly createdTime: number;
  readonly title: string;
  readonly tenantProfileId: string;
  readonly region: string | null;
  readonly country: string | null;
  readonly state: string | null;
  readonly city: string | null;
  readonly address: string | null;
  readonly address2: string | null;
  readonly zip: string | null;
  readonly phone: string | null;
  readonly email: string | null;
  readonly additionalInfo: Readonly<Record<string, unknown>> | null;
}
export const tenantCollection: CollectionSpec<TenantDocument> = {
  name: "tenant",
  id: "id",
  indexes: [["createdTime"], ["title"], ["tenantProfileId"]],
};

/** Written by `identity`. */
export interface TenantProfileDocument {
  readonly id: string;
  readonly createdTime: number;
  readonly name: string;
  readonly description: string | null;
  readonly isolatedTbRuleEngine: boolean;
  readonly default: boolean;
  readonly profileData: Readonly<Record<string, unknown>>;
}
export const tenantProfileCollection: CollectionSpec<TenantProfileDocument> = {
  name: "tenant-profile",
  id: "id",
  indexes: [["name"], ["default"]],
  unique: [["name"]],
};

/** Written by `identity`. */
export interface CustomerDocument {
  readonly id: string;
  readonly tenantId: string;
  readonly createdTime: number;
  readonly title: string;
  readonly country: string | null;
  readonly state: string | null;
  readonly city: string | null;
  readonly address: string | null;
  readonly address2: string | null;
  readonly zip: string | null;
  readonly phone: string | null;
  readonly email: string | null;
  readonly externalId: string | null;
  readonly additionalInfo: Readonly<Record<string, unknown>> | null;
}
export const customerCollection: CollectionSpec<CustomerDocument> = {
  name: "customer",
  id: "id",
  indexes: [
    ["tenantId", "createdTime"],
    ["tenantId", "title"],
  ],
  unique: [
    ["tenantId", "title"],
    ["tenantId", "externalId"],
  ],
};

/** Written by `identity`; its secrets are kept elsewhere. */
export interface UserDocument {
  readonly id: string;
  /** `nullId` for a system administrator. */
  readonly tenantId: string;
  readonly customerId: string | null;
  readonly createdTime: number;
  readonly email: string;
  readonly authority: Authority;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly phone: string | null;
  readonly additionalInfo: Readonly<Record<string, unknown>> | null;
}
export const userCollection: CollectionSpec<UserDocument> = {
  name: "user",
  id: "id",
  indexes: [["tenantId", "authority"], ["tenantId", "customerId"], ["email"]],
  unique: [["email"]],
};

/** Written by `rules`. */
export interface RuleChainDocument {
  readonly id: string;
  readonly tenantId: string;
  readonly createdTime: number;
  readonly name: string;
  readonly type: "CORE" | "EDGE";
  readonly root: boolean;
  readonly debugMode: boolean;
  readonly firstRuleNodeId: string | null;
  readonly externalId: string | null;
  readonly configuration: unknown;
  readonly additionalInfo: Readonly<Record<string, unknown>> | null;
  readonly nodes: readonly RuleNodeDocument[];
  readonly connections: readonly { readonly from: string; readonly to: string; readonly type: string }[];
}

export interface RuleNodeDocument {
  readonly id: string;
  readonly createdTime: number;
  readonly type: string;
  readonly name: string;
  readonly configurationVersion: number;
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly singletonMode: boolean;
  readonly queueName: string | null;
  readonly additionalInfo: Readonly<Record<string, unknown>> | null;
}
export const ruleChainCollection: CollectionSpec<RuleChainDocument> = {
  name: "rule-chain",
  id: "id",
  indexes: [
    ["tenantId", "createdTime"],
    ["tenantId", "root"],
    ["tenantId", "name"],
  ],
};
