import type { Duplex } from "node:stream";
import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { CollectionSpec, Page, Query, Stored } from "../spi/entities.ts";

/**
 * A program of a tenant that speaks MQTT and is no device; written by the plugin that provides `Applications`. Of its
 * password only the SHA-256 is kept: it is drawn, not chosen.
 */
export interface ApplicationDocument {
  readonly id: string;
  readonly tenantId: string;
  readonly createdTime: number;
  readonly name: string;
  readonly enabled: boolean;
  /** Topic filters below `tenant/{tenantId}/`, MQTT 3.1.1, 4.7: what it may publish to, and subscribe to. */
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  readonly additionalInfo: unknown;
  readonly passwordHash: string;
}
export const applicationCollection: CollectionSpec<ApplicationDocument> = {
  name: "application",
  id: "id",
  indexes: [["tenantId", "createdTime"]],
  unique: [["tenantId", "name"]],
};

/** Without its secret. */
export type Application = Omit<ApplicationDocument, "passwordHash">;

/** User names of applications are this and the application's id. */
export const applicationPrefix = "app/";

export interface Applications {
  /** Without an id a new one, whose password is told this once; else the whole new content of an existing one. */
  save(
    draft: Pick<Application, "tenantId" | "name"> & Partial<Application> & { readonly version?: number | null },
    call: CallOptions,
  ): Promise<{ readonly application: Stored<Application>; readonly password?: string }>;
  get(id: string, call: CallOptions): Promise<Stored<Application> | undefined>;
  find(query: Query, call: CallOptions): Promise<Page<Application>>;
  /** Draws a new password and closes the connections that were opened with the old one. */
  renew(id: string, call: CallOptions): Promise<string>;
  /** Closes its connections and forgets its sessions. */
  remove(id: string, call: CallOptions): Promise<void>;
}
export const Applications = capability<Applications>("applications@1");

/** Applications on the listener that devices connect to: the transport reads the CONNECT and hands the connection over. */
export interface MqttApplications {
  /** Undefined when name and password are no application's: the connection may still be a device's. */
  authenticate(
    by: { readonly userName: string; readonly password: string },
    call: CallOptions,
  ): Promise<Stored<Application> | undefined>;
  /**
   * Takes the connection over. `head` is what was read of it, the CONNECT (MQTT 3.1 or 3.1.1) and what came behind; all that
   * follows is still to be read.
   */
  accept(application: Stored<Application>, connection: Duplex, head: Buffer): void;
}
export const MqttApplications = capability<MqttApplications>("mqtt-applications@1");
