import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { Stored } from "../spi/entities.ts";
import type { DeviceCredentialsDocument, DeviceDocument, DeviceProfileDocument, RpcDocument } from "./documents.ts";
import type { Doer } from "./entity-events.ts";
import type { Draft, NameConflict, Records } from "./records.ts";

export type CredentialsDraft = Draft<Omit<DeviceCredentialsDocument, "credentialsId">> & {
  readonly credentialsId?: string | null;
};

export interface DeviceSave {
  readonly tenantId: string;
  readonly device: Draft<DeviceDocument>;
  /** For a new device; a token is drawn when absent. Nothing is stored when they are taken. */
  readonly credentials?: CredentialsDraft;
  readonly nameConflict?: NameConflict;
  readonly by?: Doer;
  /** More for the metadata of the rule message. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Devices, their credentials and profiles, as the store knows them. Faults: `input.invalid` and `registry.*` with the
 * texts of rest-semantics 6, `record.conflict` for an old version, `missing` for an id that does not exist. Sessions and
 * rule chains hear of each change.
 */
export interface DeviceRegistry {
  readonly devices: Records<DeviceDocument>;
  readonly profiles: Records<DeviceProfileDocument>;
  readonly rpcs: Records<RpcDocument>;
  save(what: DeviceSave, call: CallOptions): Promise<Stored<DeviceDocument>>;
  /** Sets members of the additional information and tells no rule chain; undefined when the device is gone. */
  annotate(
    what: {
      readonly tenantId: string;
      readonly deviceId: string;
      readonly members: Readonly<Record<string, unknown>>;
    },
    call: CallOptions,
  ): Promise<Stored<DeviceDocument> | undefined>;
  /** Null takes the device from its customer. `onlyFree`: fault `registry.assigned` when it has one already. */
  assign(
    what: {
      readonly tenantId: string;
      readonly deviceId: string;
      readonly customerId: string | null;
      readonly onlyFree?: boolean;
      readonly by?: Doer;
    },
    call: CallOptions,
  ): Promise<Stored<DeviceDocument>>;
  /** Moves the device, unassigned, without packages and on the default profile, to another tenant. */
  moveToTenant(
    what: { readonly tenantId: string; readonly deviceId: string; readonly to: string; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<DeviceDocument>>;
  credentials(deviceId: string, call: CallOptions): Promise<Stored<DeviceCredentialsDocument> | undefined>;
  saveCredentials(
    what: { readonly tenantId: string; readonly credentials: CredentialsDraft; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<DeviceCredentialsDocument>>;
  /** The tenant's default profile; made when there is none. */
  defaultProfile(tenantId: string, call: CallOptions): Promise<Stored<DeviceProfileDocument>>;
  /** Devices of the profile follow soon after, also when the node dies meanwhile. */
  saveProfile(
    what: { readonly tenantId: string; readonly profile: Draft<DeviceProfileDocument>; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<DeviceProfileDocument>>;
  makeDefault(tenantId: string, profileId: string, call: CallOptions): Promise<Stored<DeviceProfileDocument>>;
  /** Faults when the profile is in use or the default. */
  removeProfile(
    what: { readonly tenantId: string; readonly profileId: string; readonly by?: Doer },
    call: CallOptions,
  ): Promise<void>;
  /** Cancels a persistent call that waits, and drops its record. */
  removeRpc(id: string, call: CallOptions): Promise<void>;
}
export const DeviceRegistry = capability<DeviceRegistry>("device-registry@1");
