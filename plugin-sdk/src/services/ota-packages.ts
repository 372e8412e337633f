import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { CollectionSpec, Stored } from "../spi/entities.ts";
import type { Doer } from "./entity-events.ts";
import type { Records } from "./records.ts";

export type OtaPackageType = "FIRMWARE" | "SOFTWARE";
export type ChecksumAlgorithm = "MD5" | "SHA256" | "SHA384" | "SHA512" | "CRC32" | "MURMUR3_32" | "MURMUR3_128";

/** Everything about a package but its bytes; written by `ota` (device-api 2.8, rest-semantics 15.10). */
export interface OtaPackageDocument {
  readonly id: string;
  readonly tenantId: string;
  readonly createdTime: number;
  readonly deviceProfileId: string | null;
  readonly type: OtaPackageType;
  readonly title: string;
  readonly version: string;
  readonly tag: string | null;
  /** The package lies elsewhere; then there are no bytes here. */
  readonly url: string | null;
  /** There is something to fetch: bytes here, or a link. */
  readonly hasData: boolean;
  readonly fileName: string | null;
  readonly contentType: string | null;
  readonly checksumAlgorithm: ChecksumAlgorithm | null;
  /** Lower-case hex over all bytes. */
  readonly checksum: string | null;
  /** Bytes. */
  readonly dataSize: number | null;
  /** Names the bytes in the store; only `ota` reads them. */
  readonly dataId?: string | null;
  readonly externalId: string | null;
  readonly additionalInfo: Readonly<Record<string, unknown>> | null;
}
export const otaPackageCollection: CollectionSpec<OtaPackageDocument> = {
  name: "ota-package",
  id: "id",
  indexes: [
    ["tenantId", "createdTime"],
    ["tenantId", "title"],
    ["tenantId", "deviceProfileId", "type"],
  ],
  unique: [
    ["tenantId", "title", "version"],
    ["tenantId", "externalId"],
  ],
};

/** Firmware and software for devices: what exists, what a device should have, and its bytes. */
export interface OtaPackages {
  readonly packages: Records<OtaPackageDocument>;
  /** Faults `input.invalid` with the texts of rest-semantics 6. */
  save(
    what: { readonly tenantId: string; readonly info: Partial<OtaPackageDocument>; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<OtaPackageDocument>>;
  /**
   * Streams the bytes in, once: nothing of them shows before all are there, and nothing is kept when they do not have the
   * checksum (`input.invalid`), are too many (`ota.too-large`), or end early. Without a checksum it is computed.
   */
  saveData(
    what: {
      readonly tenantId: string;
      readonly packageId: string;
      readonly fileName: string;
      readonly contentType: string;
      readonly checksumAlgorithm: ChecksumAlgorithm;
      readonly checksum?: string;
      readonly data: AsyncIterable<Uint8Array>;
      readonly by?: Doer;
    },
    call: CallOptions,
  ): Promise<Stored<OtaPackageDocument>>;
  /** With its bytes. Fault `input.invalid` while a device or profile uses it. */
  remove(
    what: { readonly tenantId: string; readonly packageId: string; readonly by?: Doer },
    call: CallOptions,
  ): Promise<void>;
  /** What the device should run: its own package, else its profile's; undefined when none is assigned. */
  assigned(deviceId: string, type: OtaPackageType, call: CallOptions): Promise<OtaPackageDocument | undefined>;
  /**
   * The bytes from `from` up to, not including, `to`, cut at the end of the package: beyond it they are empty. Neighbouring
   * slices of a package that many devices fetch come from memory. Fault `ota.no-data` when there are none here.
   */
  read(packageId: string, slice: { readonly from: number; readonly to: number }, call: CallOptions): Promise<Buffer>;
}
export const OtaPackages = capability<OtaPackages>("ota-packages@1");
